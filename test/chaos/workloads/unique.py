"""unique: three insert the same value into a unique column at once. One row of a value; who is refused was refused for
a reason."""
from .base import Workload

RACERS = 3


class Unique(Workload):
    name = "unique"
    workers = 3

    def setup(self, s):
        s.sql("CREATE TABLE uniq (id bigint PRIMARY KEY, u bigint NOT NULL UNIQUE) "
              "WITH (sharding = 'hash', shards = 3)")

    def next(self, rng):
        n = self.draw()
        return {"f": "insert", "value": [n, n // RACERS], "how": rng.choice(("auto", "auto", "block", "nothing"))}

    def apply(self, s, op):
        text = "INSERT INTO uniq VALUES (%s, %s)"
        if op["how"] == "nothing":
            op["count"] = s.auto(text + " ON CONFLICT DO NOTHING", op["value"])
        elif op["how"] == "auto":
            op["count"] = s.auto(text, op["value"])
        else:
            s.begin()
            count = s.sql(text, op["value"])
            s.commit()
            op["count"] = count

    def final(self, s):
        return {"table": s.sql("SELECT id, u FROM uniq WHERE id + 0 >= 0"),
                "index": s.sql("SELECT u FROM uniq ORDER BY u")}

    @staticmethod
    def check(ops, final):
        bad, rows, ids = [], {}, set()
        for i, u in final["table"]:
            rows.setdefault(u, []).append(i)
            ids.add(i)
        for u, have in rows.items():
            if len(have) > 1:
                bad.append(("doubled", f"value {u} is there {len(have)} times, in rows {have}"))
        if sorted(r[0] for r in final["index"]) != sorted(u for _, u in final["table"]):
            bad.append(("index-differs", "the unique index and the table have different values"))
        by_value = {}
        for o in ops:
            i, u = o["value"]
            by_value.setdefault(u, []).append(o)
            if o["type"] == "ok" and o["count"] == 1 and i not in ids:
                bad.append(("lost", f"row {i} (value {u}) was acknowledged by node {o['node']} and is not there"))
            if (o["type"] == "fail" or (o["type"] == "ok" and o["count"] == 0)) and i in ids:
                bad.append(("ghost", f"row {i} (value {u}) was refused ({o.get('error')}) and is there"))
        for u, of_value in by_value.items():
            refused = [o for o in of_value if o.get("error") == "23505" or (o["type"] == "ok" and o["count"] == 0)]
            if refused and u not in rows:
                bad.append(("false-refusal", f"value {u} was refused as a duplicate by node {refused[0]['node']}, "
                            "and nobody has it"))
        return bad
