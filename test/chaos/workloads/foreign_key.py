"""foreign key: one inserts a child while another deletes its parent. Never a child without a parent; who is refused was
refused for a reason."""
from .base import Workload

PARENTS = 300


class ForeignKey(Workload):
    name = "foreign-key"
    workers = 3

    def __init__(self):
        super().__init__()
        self.made = 0
        self.is_filling = False

    def setup(self, s):
        s.sql("CREATE TABLE fk_parent (id int PRIMARY KEY) WITH (sharding = 'hash', shards = 3)")
        s.sql("CREATE TABLE fk_child (id int PRIMARY KEY, parent int NOT NULL REFERENCES fk_parent (id)) "
              "WITH (sharding = 'hash', shards = 2)")
        s.sql("CREATE INDEX fk_child_parent ON fk_child (parent)")
        self.fill(s, 0)

    def fill(self, s, start):
        s.auto("INSERT INTO fk_parent SELECT g FROM generate_series(%s::int, %s::int) AS g ON CONFLICT DO NOTHING",
               (start, start + PARENTS - 1))
        with self.lock:
            self.made = max(self.made, start + PARENTS)

    def next(self, rng):
        with self.lock:
            # By one worker alone: a second one would make parents again that were deleted meanwhile.
            if self.counter // 2 >= self.made - PARENTS // 2 and not self.is_filling:
                self.is_filling = True
                return {"f": "fill", "value": self.made}
            if self.counter // 2 >= self.made:
                return {"f": "read", "value": 0}
            n = self.counter
            self.counter += 1
        return {"f": ("child", "delete")[n % 2], "value": n // 2, "block": rng.random() < 0.3}

    def apply(self, s, op):
        n = op["value"]
        if op["f"] == "fill":
            try:
                self.fill(s, n)
            finally:
                with self.lock:
                    self.is_filling = False
            return
        if op["f"] == "read":
            s.auto("SELECT count(*) FROM fk_child", ())
            return
        text = "INSERT INTO fk_child VALUES (%s, %s)" if op["f"] == "child" else "DELETE FROM fk_parent WHERE id = %s"
        args = (n, n) if op["f"] == "child" else (n,)
        if op["block"]:
            s.begin()
            s.sql(text, args)
            s.commit()
        else:
            s.auto(text, args)

    def final(self, s):
        return {"parents": [r[0] for r in s.sql("SELECT id FROM fk_parent")],
                "children": [r[1] for r in s.sql("SELECT id, parent FROM fk_child WHERE id + 0 >= 0")],
                "indexed": [r[0] for r in s.sql("SELECT parent FROM fk_child WHERE parent >= 0 ORDER BY parent")]}

    @staticmethod
    def check(ops, final):
        bad, parents, children = [], set(final["parents"]), set(final["children"])
        if sorted(final["indexed"]) != sorted(children):
            bad.append(("index-differs", f"only in the index {sorted(set(final['indexed']) - children)}, only in the "
                        f"table {sorted(children - set(final['indexed']))}"))
        for n in sorted(children - parents):
            bad.append(("orphan", f"child {n} has no parent"))
        for o in ops:
            n, error = o["value"], o.get("error")
            if o["f"] == "child":
                if o["type"] == "ok" and n not in children:
                    bad.append(("lost", f"child {n} was acknowledged by node {o['node']} and is not there"))
                elif o["type"] == "fail" and n in children:
                    bad.append(("ghost", f"child {n} failed ({error}) and is there"))
                if error == "23503" and n in parents:
                    bad.append(("false-refusal", f"child {n} was refused ({error}), its parent is there"))
            elif o["f"] == "delete":
                if o["type"] == "ok" and n in parents:
                    bad.append(("lost", f"the delete of parent {n} was acknowledged and it is there"))
                elif o["type"] == "fail" and n not in parents:
                    bad.append(("ghost", f"the delete of parent {n} failed ({error}) and it is gone"))
                if error == "23503" and n not in children:
                    bad.append(("false-refusal", f"the delete of parent {n} was refused, it has no child"))
        return bad
