"""index: an index equals its table, in every snapshot, while rows are inserted, moved and deleted."""
from .base import Workload

ROWS, GROUPS = 40, 5


class Index(Workload):
    name = "index"
    workers = 3

    def setup(self, s):
        s.sql("CREATE TABLE ix (id int PRIMARY KEY, g int NOT NULL, u int NOT NULL) "
              "WITH (sharding = 'hash', shards = 3)")
        s.sql("CREATE INDEX ix_g ON ix (g)")
        s.sql("CREATE UNIQUE INDEX ix_u ON ix (u)")

    def next(self, rng):
        x, row = rng.random(), rng.randrange(ROWS)
        if x < 0.3:
            return {"f": "read", "g": rng.randrange(GROUPS), "value": None}
        if x < 0.5:
            return {"f": "delete", "value": row}
        if x < 0.75:
            return {"f": "move", "value": [row, rng.randrange(GROUPS)]}
        return {"f": "put", "value": [row, rng.randrange(GROUPS), self.draw()]}

    def apply(self, s, op):
        v = op["value"]
        if op["f"] == "put":
            s.auto("INSERT INTO ix AS t VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET g = excluded.g, "
                   "u = excluded.u", v)
        elif op["f"] == "move":
            s.auto("UPDATE ix SET g = %s WHERE id = %s", (v[1], v[0]))
        elif op["f"] == "delete":
            s.auto("DELETE FROM ix WHERE id = %s", (v,))
        else:
            s.begin()
            by_index = s.sql("SELECT id, g, u FROM ix WHERE g = %s ORDER BY id", (op["g"],))
            by_table = s.sql("SELECT id, g, u FROM ix WHERE g + 0 = %s ORDER BY id", (op["g"],))
            s.commit()
            op["value"] = {"index": by_index, "table": by_table}

    def final(self, s):
        rows = s.sql("SELECT id, g, u FROM ix WHERE id + 0 >= 0 ORDER BY id")
        by_g = [r for g in range(GROUPS) for r in s.sql("SELECT id, g, u FROM ix WHERE g = %s", (g,))]
        by_u = [r for x in rows for r in s.sql("SELECT id, g, u FROM ix WHERE u = %s", (x[2],))]
        return {"table": rows, "g": sorted(by_g), "u": sorted(by_u), "entries": s.sql("SELECT g FROM ix ORDER BY g")}

    @staticmethod
    def check(ops, final):
        bad = []
        for o in ops:
            if o["f"] == "read" and o["type"] == "ok" and \
                    [tuple(r) for r in o["value"]["index"]] != [tuple(r) for r in o["value"]["table"]]:
                bad.append(("index-differs", f"node {o['node']}, g = {o['g']}: index {o['value']['index']}, "
                            f"table {o['value']['table']}"))
        table = sorted(tuple(r) for r in final["table"])
        for name in ("g", "u"):
            if sorted(tuple(r) for r in final[name]) != table:
                bad.append(("index-differs", f"at the end: index {name} {final[name]}, table {final['table']}"))
        if len(final["entries"]) != len(table):
            bad.append(("index-differs", f"at the end: {len(final['entries'])} entries for {len(table)} rows"))
        return bad
