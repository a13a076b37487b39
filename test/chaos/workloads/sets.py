"""set: rows in tables without a key, alone and three to a statement over several shards. An acknowledged row is there
once and from then on; a failed one never; of three all or none."""
from .base import Workload


class Sets(Workload):
    name = "set"
    workers = 3

    def setup(self, s):
        s.sql("CREATE TABLE set_one (n bigint NOT NULL)")
        s.sql("CREATE TABLE set_three (n bigint NOT NULL, part int NOT NULL) WITH (sharding = 'hash', shards = 3)")

    def next(self, rng):
        x = rng.random()
        if x < 0.12:
            return {"f": "read", "value": None, "table": rng.choice(("set_one", "set_three"))}
        return {"f": "add" if x < 0.6 else "add3", "value": self.draw()}

    def apply(self, s, op):
        n = op["value"]
        if op["f"] == "add":
            s.auto("INSERT INTO set_one VALUES (%s)", (n,))
        elif op["f"] == "add3":
            s.auto("INSERT INTO set_three VALUES (%s, 0), (%s, 1), (%s, 2)", (n, n, n))
        else:
            # The last hundreds: enough to see what is stale or half, without reading all for ever.
            op["from"] = max(0, self.counter - 300)
            op["value"] = [r[0] for r in s.sql(f"SELECT n FROM {op['table']} WHERE n >= %s", (op["from"],))]

    def final(self, s):
        return {t: [r[0] for r in s.sql(f"SELECT n FROM {t}")] for t in ("set_one", "set_three")}

    @staticmethod
    def check(ops, final, realtime=True):
        bad = []
        end = max((o["t1"] for o in ops), default=0) + 1
        reads = [o for o in ops if o["f"] == "read" and o["type"] == "ok"]
        for t in ("set_one", "set_three"):
            reads.append({"f": "read", "table": t, "value": final[t], "from": 0, "t0": end, "node": "final"})
        adds = {t: {o["value"]: o for o in ops if o["f"] == f} for t, f in (("set_one", "add"), ("set_three", "add3"))}
        for r in reads:
            copies, counts, where = 3 if r["table"] == "set_three" else 1, {}, f"read at node {r['node']}"
            for n in r["value"]:
                counts[n] = counts.get(n, 0) + 1
            for n, count in counts.items():
                o = adds[r["table"]].get(n)
                if o is None:
                    bad.append(("unwritten", f"{where}: row {n} of {r['table']}"))
                elif o["type"] == "fail":
                    bad.append(("ghost", f"{where}: row {n} of {r['table']}, which failed with {o.get('error')}"))
                if count > copies:
                    bad.append(("doubled", f"{where}: row {n} of {r['table']} {count} times, written {copies}"))
                elif count < copies:
                    bad.append(("partial", f"{where}: {count} of {copies} rows {n}"))
            for n, o in adds[r["table"]].items():
                if n >= r["from"] and o["type"] == "ok" and n not in counts and \
                        (realtime and o["t1"] < r["t0"] or r["node"] == "final"):
                    kind = "lost" if r["node"] == "final" else "stale"
                    bad.append((kind, f"{where}: row {n} of {r['table']}, acknowledged {r['t0'] - o['t1']:.3f} s "
                                f"before by node {o['node']}, is not there"))
        return bad
