"""long fork: single rows are inserted one by one, others read all of a group at once. What any two readers saw can be
ordered: one saw all that the other saw. And what was acknowledged before a read began is in it."""
from .base import Workload

GROUP = 6


class LongFork(Workload):
    name = "long-fork"
    workers = 4

    def setup(self, s):
        s.sql("CREATE TABLE fork (k int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 3)")

    def next(self, rng):
        if rng.random() < 0.5:
            return {"f": "write", "value": self.draw()}
        return {"f": "read", "group": self.counter // GROUP, "value": None, "how": rng.choice(("one", "many"))}

    def apply(self, s, op):
        if op["f"] == "write":
            s.auto("INSERT INTO fork VALUES (%s, 1)", (op["value"],))
            return
        low = op["group"] * GROUP
        if op["how"] == "one":
            rows = s.sql("SELECT k FROM fork WHERE k >= %s AND k < %s", (low, low + GROUP))
        else:
            s.begin("READ ONLY")
            rows = []
            for k in range(low, low + GROUP):
                rows += s.sql("SELECT k FROM fork WHERE k = %s", (k,))
            s.commit()
        op["value"] = sorted(r[0] for r in rows)

    def final(self, s):
        return [r[0] for r in s.sql("SELECT k FROM fork")]

    @staticmethod
    def check(ops, final, realtime=True):
        bad, have = [], set(final)
        groups, writes = {}, {}
        for o in ops:
            if o["f"] == "read" and o["type"] == "ok":
                groups.setdefault(o["group"], []).append(o)
            elif o["f"] == "write":
                writes.setdefault(o["value"] // GROUP, []).append(o)
        for g, reads in groups.items():
            reads.sort(key=lambda o: len(o["value"]))
            for a, b in zip(reads, reads[1:]):
                if not set(a["value"]) <= set(b["value"]):
                    bad.append(("long-fork", f"node {a['node']} saw {a['value']}, node {b['node']} saw {b['value']}"))
            for w in writes.get(g, ()):
                for r in reads:
                    if realtime and w["type"] == "ok" and w["t1"] < r["t0"] and w["value"] not in r["value"]:
                        bad.append(("stale", f"node {r['node']} did not see {w['value']}, acknowledged "
                                    f"{r['t0'] - w['t1']:.4f} s before by node {w['node']}"))
                    if w["type"] == "fail" and w["value"] in r["value"]:
                        bad.append(("ghost", f"{w['value']} failed ({w.get('error')}) and was read"))
        for of_group in writes.values():
            for w in of_group:
                if w["type"] == "ok" and w["value"] not in have:
                    bad.append(("lost", f"{w['value']} was acknowledged and is not there"))
                elif w["type"] == "fail" and w["value"] in have:
                    bad.append(("ghost", f"{w['value']} failed ({w.get('error')}) and is there"))
        return bad
