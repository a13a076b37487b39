#!/usr/bin/python3
"""Isolation suite: see README.md.

    test/isolation/run.py [--on dev,raw,cluster] [--only SPEC,...] [--level rc,rr,ser] [--record] [--show] [--verbose]

Runs every spec at every level on sherd, beside a private PostgreSQL 15 when that is installed, else against its recorded
outcomes (expected/). SERIALIZABLE is judged from the outcomes, too. Exit 1: an anomaly, or a difference that
differences.txt does not list.
"""
import argparse
import collections
import fnmatch
import os
import signal
import sys
import time

TOLD_MAX = 2  # failures of a kind that are printed, for a spec at a level
RECORDED_TRIES = 5
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import expected  # noqa: E402
import judge  # noqa: E402
import spec as specs  # noqa: E402
from runner import Stage  # noqa: E402
from target import Dev, Nodes, Postgres, Raw, Stuck  # noqa: E402


class Differences:
    """Lines `spec level kind target: reason`, with wildcards; unused ones are told."""

    def __init__(self, path):
        self.lines, self.used = [], set()
        with open(path) as f:
            for number, line in enumerate(f, 1):
                if line.strip() and not line.startswith("#"):
                    pattern, reason = line.split(":", 1)
                    fields = pattern.split()
                    if len(fields) != 4 or not reason.strip():
                        raise ValueError(f"{path}:{number}: spec level kind target: reason")
                    self.lines.append((number, fields))

    def allows(self, spec, level, kind, target):
        for number, fields in self.lines:
            if all(fnmatch.fnmatch(x, y) for x, y in zip((spec, level, kind, target), fields)):
                self.used.add(number)
                return True
        return False


class Suite:
    def __init__(self, args):
        self.args, self.failures = args, []
        self.differences = Differences(os.path.join(HERE, "differences.txt"))
        self.counts = collections.Counter()
        self.anomalies = collections.Counter()  # (spec, level, target): permutations without a serial order
        self.kinds = collections.Counter()
        self.told = collections.Counter()

    def fail(self, where, order, what, *outcomes):
        self.failures.append(where)
        self.told[where, what] += 1
        if self.told[where, what] > TOLD_MAX and not self.args.verbose:
            return
        print(f"FAIL {where}: {what}\n  permutation {' '.join(s.name for s in order)}")
        for name, o in outcomes:
            print(f"  {name:9}{o.text() if o else '-'}")
        sys.stdout.flush()

    def play_all(self, stage):
        out = []
        for order in stage.spec.permutations:
            try:
                out.append(stage.play(order))
            except Stuck as e:
                raise Stuck(f"{' '.join(s.name for s in order)}: {e}") from e
        return out

    def check_serial(self, stage, outcomes, is_strict):
        """Permutations whose outcome no serial order explains."""
        if "noserial" in stage.spec.options:
            return []
        return [i for i, o in enumerate(outcomes) if not judge.is_serial(stage, o, is_strict)]

    def postgres(self, spec, level):
        """PostgreSQL's outcomes: measured and compared with the recorded ones, or the recorded ones."""
        path = os.path.join(HERE, "expected", spec.name + ".txt")
        if self.pg is None:
            return expected.load(path, spec, level)
        with Stage(self.pg, spec, level) as stage:
            outcomes = self.play_all(stage)
            bad = self.check_serial(stage, outcomes, False)
            self.anomalies[spec.name, level, "postgres"] += len(bad)
            if bad and level == "ser":
                self.fail(f"{spec.name} {level} postgres", spec.permutations[bad[0]], "the judge does not find a serial order",
                          ("postgres", outcomes[bad[0]]))
        if self.args.record:
            self.recorded.setdefault(spec.name, {})[level] = outcomes
            return outcomes
        if "racy" in spec.options:
            return outcomes
        recorded = expected.load(path, spec, level)
        known = {judge.projection(o) for o in recorded}
        for i, (order, was) in enumerate(zip(spec.permutations, recorded)):
            now = self.as_recorded(spec, level, order, outcomes[i], was)
            outcomes[i] = was
            if now.text() != was.text() and judge.projection(now) not in known:
                self.fail(f"{spec.name} {level} postgres", order, "not as recorded", ("recorded", was), ("now", now))
        return outcomes

    def as_recorded(self, spec, level, order, outcome, recorded):
        """PostgreSQL may hand a row to another waiter, or choose another victim: some tries to see what was recorded.
        What it has shown in another order of the steps will do, too."""
        for _ in range(RECORDED_TRIES):
            if outcome.text() == recorded.text():
                break
            with Stage(self.pg, spec, level) as stage:
                outcome = stage.play(order)
        return outcome

    def sherd(self, target, spec, level, pg):
        where = f"{spec.name} {level} {target.name}"
        with Stage(target, spec, level) as stage:
            outcomes = self.play_all(stage)
            bad = self.check_serial(stage, outcomes, True)
            self.anomalies[spec.name, level, target.name] += len(bad)
            if level == "ser":
                for i in bad:
                    self.fail(where, spec.permutations[i], "ANOMALY: no serial order gives this",
                              ("postgres", pg[i]), (target.name, outcomes[i]))
            allowed = {judge.projection(o) for o in pg}
            for order, p, o in zip(spec.permutations, pg, outcomes):
                self.counts[target.name] += 1
                kind = judge.difference(p, o)
                if self.args.verbose:
                    print(f"{where} {' '.join(s.name for s in order)}: {kind}\n  {o.text()}")
                if kind is None:
                    continue
                if level != "ser" and judge.projection(o) not in allowed and \
                        ("noserial" in spec.options or not judge.is_serial(stage, o, True)):
                    kind = "strange"  # neither PostgreSQL's in any order, nor serial
                self.kinds[spec.name, level, kind, target.name] += 1
                if not self.differences.allows(spec.name, level, kind, target.name):
                    self.fail(where, order, f"difference of kind '{kind}' is not listed", ("postgres", p), (target.name, o))
        return outcomes

    def run(self, spec):
        for level in spec.levels:
            if self.args.level and level not in self.args.level:
                continue
            begin = time.monotonic()
            try:
                pg = self.postgres(spec, level)
                for target in self.targets:
                    self.sherd(target, spec, level, pg)
            except Stuck as e:
                self.failures.append(f"{spec.name} {level}")
                print(f"FAIL {spec.name} {level}: {e}")
            print(f"{spec.name:24} {level:4} {len(spec.permutations):4} permutations  {time.monotonic() - begin:6.2f} s",
                  flush=True)

    def main(self):
        names = sorted(n for n in os.listdir(os.path.join(HERE, "specs")) if n.endswith(".spec"))
        chosen = [specs.load(os.path.join(HERE, "specs", n)) for n in names]
        if self.args.only:
            chosen = [s for s in chosen if any(fnmatch.fnmatch(s.name, o) for o in self.args.only)]
        if not chosen:
            raise SystemExit("no spec of that name")
        self.pg, self.recorded, self.targets = None, {}, []
        open_targets = []
        try:
            if Postgres.is_installed() and not self.args.recorded:
                self.pg = Postgres().__enter__()
                open_targets.append(self.pg)
            for name in self.args.on:
                self.targets.append({"dev": Dev, "raw": Raw, "cluster": Nodes}[name]().__enter__())
                open_targets.append(self.targets[-1])
            for spec in chosen:
                self.run(spec)
        finally:
            for t in reversed(open_targets):
                t.__exit__(*sys.exc_info())
        if self.args.record:
            if self.pg is None:
                raise SystemExit("--record needs PostgreSQL")
            for name, by_level in self.recorded.items():
                expected.save(os.path.join(HERE, "expected", name + ".txt"), name, by_level, chosen)
        self.summary(chosen)
        return 1 if self.failures else 0

    def summary(self, chosen):
        if self.args.show:
            for (spec, level, kind, target), n in sorted(self.kinds.items()):
                print(f"difference {spec} {level} {kind} {target}: {n} permutations")
        names = (["postgres"] if self.pg else []) + [t.name for t in self.targets]
        print("\noutcomes that no serial order gives, of permutations (rc / rr / ser)")
        for s in chosen:
            if "noserial" not in s.options:
                cells = [" / ".join(str(self.anomalies[s.name, level, t]) if level in s.levels else "-"
                                    for level in specs.LEVELS) for t in names]
                print(f"  {s.name:24} {len(s.permutations):4}  " + "   ".join(f"{n}: {c}" for n, c in zip(names, cells)))
        if not self.args.only and not self.args.level:
            for number, fields in self.differences.lines:
                # a line for all targets is one that `dev` shows
                target = "dev" if fields[3] == "*" else fields[3]
                if number not in self.differences.used and target in self.args.on:
                    print(f"differences.txt:{number}: not seen: {' '.join(fields)}")
                    self.failures.append("differences.txt")
            seen = sum(self.anomalies[s.name, "rc", t.name] for s in chosen for t in self.targets)
            if self.targets and seen == 0:
                self.failures.append("judge")
                print("FAIL: READ COMMITTED shows no anomaly: the judge does not see")
        print(f"\n{sum(self.counts.values())} permutations on sherd, {len(self.failures)} failures")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--on", default="dev", help="targets: dev, raw (no automatic retry), cluster")
    ap.add_argument("--only", default="", help="specs (wildcards)")
    ap.add_argument("--level", default="", help="rc, rr, ser")
    ap.add_argument("--record", action="store_true", help="write PostgreSQL's outcomes to expected/")
    ap.add_argument("--recorded", action="store_true", help="compare with expected/ even if PostgreSQL is installed")
    ap.add_argument("--show", action="store_true", help="count the differences by kind")
    ap.add_argument("--verbose", action="store_true", help="every outcome")
    args = ap.parse_args()
    for name in ("on", "only", "level"):
        setattr(args, name, [x for x in getattr(args, name).split(",") if x])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a test that takes too long ends its servers, too
    sys.exit(Suite(args).main())


if __name__ == "__main__":
    main()
