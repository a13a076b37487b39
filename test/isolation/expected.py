"""PostgreSQL's outcomes as files: per level, each outcome once, with the permutations that give it.

    == rc
    w1 w2 c1 c2
    w2 w1 c2 c1
    > w1: UPDATE 1 | w2: ~UPDATE 1 | c1: COMMIT | c2: COMMIT || t=(1,3)
    @ w1+c1 w2+c2                                                   the committed transactions by their steps
"""
from runner import Outcome, Result, Txn


def save(path, name, by_level, specs):
    spec = next(s for s in specs if s.name == name)
    with open(path, "w") as f:
        f.write(f"# {name}: outcomes of PostgreSQL 15, written by run.py --record\n")
        for level, outcomes in by_level.items():
            f.write(f"== {level}\n")
            groups = {}
            for order, o in zip(spec.permutations, outcomes):
                names = [s.name for s in order]
                steps = " | ".join(f"{n}: {o.results[n]}" for n in sorted(names))
                tables = " ".join(f"{t}={rows}" for t, rows in o.tables.items())
                txns = " ".join("+".join(s.name for s in t.steps) for t in sorted(
                    (t for t in o.txns if t.is_committed), key=lambda t: [s.name for s in t.steps]))
                groups.setdefault((f"{steps} || {tables}", txns), []).append(" ".join(names))
            for (text, txns), orders in groups.items():
                f.write("".join(o + "\n" for o in orders) + f"> {text}\n@ {txns}\n")


def load(path, spec, level):
    """The outcomes in the order of the spec's permutations."""
    found, orders, current, here = {}, [], None, False
    with open(path) as f:
        for line in f.read().splitlines():
            if line.startswith("=="):
                here = line[2:].strip() == level
            elif not here or line.startswith("#"):
                continue
            elif line.startswith("> "):
                current = line[2:]
            elif line.startswith("@"):
                for o in orders:
                    found[o] = (current, line[1:].split())
                orders = []
            else:
                orders.append(line)
    return [outcome(spec, order, *found[" ".join(s.name for s in order)]) for order in spec.permutations]


def outcome(spec, order, text, txns):
    o = Outcome()
    steps, _, tables = text.partition(" || ")
    by_name = {}
    for part in steps.split(" | "):
        name, _, value = part.partition(": ")
        r = Result()
        r.waited, r.text = value.startswith("~"), value.lstrip("~") if value.startswith("~") else value
        r.sqlstate = r.text[1:6] if r.text.startswith("!") else None
        by_name[name] = r
    o.results = {s.name: by_name[s.name] for s in order}
    for part in tables.split(" "):
        if part:
            name, _, rows = part.partition("=")
            o.tables[name] = rows
    for t in txns:
        x = Txn(None, 0)
        x.steps = [spec.steps[n] for n in t.split("+")]
        x.is_committed = True
        o.txns.append(x)
    return o
