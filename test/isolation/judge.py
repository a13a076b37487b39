"""Is an outcome one that its level allows, and how does it differ from PostgreSQL's?

SERIALIZABLE: some order of the committed transactions that keeps each session's own order, and (for sherd) real time,
gives the same results and the same tables when they run one after the other. That is judged from the outcome alone.

Weaker levels: what the committed transactions read and wrote must be what PostgreSQL shows in some permutation of the
spec at that level, or what a serial order gives.
"""
import itertools


def committed(outcome):
    return [t for t in outcome.txns if t.is_committed]


def serial_orders(txns, is_strict):
    """Orders that keep sessions and, when strict, real time: who had ended before another began comes first."""
    for order in itertools.permutations(txns):
        ok = True
        for i, a in enumerate(order):
            for b in order[i + 1:]:
                if b.session is a.session and b.begun < a.begun or is_strict and b.ended < a.begun:
                    ok = False
        if ok:
            yield order


def is_serial(stage, outcome, is_strict):
    txns = committed(outcome)
    got = {s.name: outcome.results[s.name].text for t in txns for s in t.steps}
    return any(stage.serial(order) == (got, outcome.tables) for order in serial_orders(txns, is_strict))


def projection(outcome):
    """What the committed transactions saw and left."""
    steps = sorted(s.name for t in committed(outcome) for s in t.steps)
    return (tuple((s, outcome.results[s].text) for s in steps), tuple(sorted(outcome.tables.items())))


def difference(pg, other):
    """The kind of difference from PostgreSQL's outcome of the same permutation; None: there is none."""
    if pg.text() == other.text():
        return None
    if pg.text(False) == other.text(False):
        more = any(other.results[n].waited and not r.waited for n, r in pg.results.items())
        less = any(r.waited and not other.results[n].waited for n, r in pg.results.items())
        return "waits" if more and not less else "nowait" if less and not more else "waiting"

    def names(outcome):
        return {tuple(s.name for s in t.steps) for t in committed(outcome)}
    a, b = names(pg), names(other)
    if a != b:
        return "aborts" if b < a else "commits" if a < b else "victim"
    failed = [(r, other.results[n]) for n, r in pg.results.items() if r.text != other.results[n].text]
    if all(x.sqlstate and y.sqlstate for x, y in failed) and pg.tables == other.tables:
        return "text" if all(x.sqlstate == y.sqlstate for x, y in failed) else "error"
    return "results"
