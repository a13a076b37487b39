"""dirty: a writer puts one value into all rows, on several shards, and sometimes rolls back. A reader sees one value,
and one that was committed."""
from .base import Workload

ROWS = 5


class Dirty(Workload):
    name = "dirty"
    workers = 3

    def setup(self, s):
        s.sql("CREATE TABLE dirt (k int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 3)")
        for k in range(ROWS):
            s.sql("INSERT INTO dirt VALUES (%s, -1)", (k,))

    def next(self, rng):
        if rng.random() < 0.4:
            return {"f": "read", "value": None}
        return {"f": "write", "value": self.draw(), "undo": rng.random() < 0.4, "one": rng.random() < 0.5}

    def apply(self, s, op):
        if op["f"] == "read":
            op["value"] = [r[0] for r in s.sql("SELECT v FROM dirt")]
            return
        s.begin()
        if op["one"]:
            s.sql("UPDATE dirt SET v = %s", (op["value"],))
        else:
            for k in range(ROWS):
                s.sql("UPDATE dirt SET v = %s WHERE k = %s", (op["value"], k))
        if op["undo"]:
            s.rollback()
        else:
            s.commit()

    def final(self, s):
        return [r[0] for r in s.sql("SELECT v FROM dirt")]

    @staticmethod
    def check(ops, final):
        bad = []
        writes = {o["value"]: o for o in ops if o["f"] == "write"}
        reads = [o for o in ops if o["f"] == "read" and o["type"] == "ok"]
        for r in reads + [{"node": "final", "value": final}]:
            if len(set(r["value"])) != 1 or len(r["value"]) != ROWS:
                bad.append(("partial", f"node {r['node']} read {r['value']}"))
            for v in set(r["value"]) - {-1}:
                w = writes.get(v)
                if w is None or w["undo"] or w["type"] == "fail":
                    bad.append(("G1a", f"node {r['node']} read {v}, which was never committed: {w}"))
        return bad
