"""write skew, on items and on predicates.

item: two rows, both on; two transactions each read both and switch their own off when both are on. One stays on.
predicate: two transactions each look for rows of a number through an index, and insert one when there is none. At most
one row of a number.
"""
from .base import Workload

PAIRS = 400  # made at once


class WriteSkew(Workload):
    name = "write-skew"
    workers = 4

    def __init__(self):
        super().__init__()
        self.numbers = {"item": 0, "predicate": 0}
        self.made = 0

    def setup(self, s):
        s.sql("CREATE TABLE skew_item (k int, side int, is_on int NOT NULL, PRIMARY KEY (k, side)) "
              "WITH (sharding = 'hash', shards = 3)")
        s.sql("CREATE TABLE skew_pred (id bigint PRIMARY KEY, k int NOT NULL) WITH (sharding = 'hash', shards = 3)")
        s.sql("CREATE INDEX skew_pred_k ON skew_pred (k)")
        self.fill(s, 0)

    def fill(self, s, start):
        s.auto("INSERT INTO skew_item SELECT g / 2, g %% 2, 1 FROM generate_series(%s::int, %s::int) AS g "
               "ON CONFLICT DO NOTHING", (2 * start, 2 * (start + PAIRS) - 1))
        with self.lock:
            self.made = max(self.made, start + PAIRS)

    def next(self, rng):
        f = rng.choice(("item", "predicate"))
        with self.lock:
            n = self.numbers[f]
            if f == "item" and n // 2 >= self.made:
                return {"f": "fill", "value": self.made}
            self.numbers[f] += 1
        return {"f": f, "value": [n // 2, n % 2, None], "how": rng.choice(("one", "two"))}

    def apply(self, s, op):
        if op["f"] == "fill":
            self.fill(s, op["value"])
            return
        k, side, _ = op["value"]
        s.begin()
        if op["f"] == "item":
            if op["how"] == "one":
                rows = s.sql("SELECT is_on FROM skew_item WHERE k = %s", (k,))
            else:
                rows = [s.sql("SELECT is_on FROM skew_item WHERE k = %s AND side = %s", (k, x))[0] for x in (1, 0)]
            acts = sum(r[0] for r in rows) == 2
            if acts:
                s.sql("UPDATE skew_item SET is_on = 0 WHERE k = %s AND side = %s", (k, side))
        else:
            acts = not s.sql("SELECT id FROM skew_pred WHERE k = %s", (k,))
            if acts:
                s.sql("INSERT INTO skew_pred VALUES (%s, %s)", (2 * k + side, k))
        s.commit()
        op["value"] = [k, side, acts]

    def final(self, s):
        return {"item": s.sql("SELECT k, side, is_on FROM skew_item"), "predicate": s.sql("SELECT k, id FROM skew_pred")}

    @staticmethod
    def check(ops, final):
        bad = []
        off, rows = {}, {}
        for k, side, is_on in final["item"]:
            if not is_on:
                off.setdefault(k, set()).add(side)
        for k, row in final["predicate"]:
            rows.setdefault(k, set()).add(row % 2)
        for f, acted in (("item", off), ("predicate", rows)):
            for k, sides in acted.items():
                if len(sides) > 1:
                    bad.append((f"G2-{f}", f"number {k}: both transactions acted as if alone"))
            for o in ops:
                if o["f"] != f or not o["value"][2]:
                    continue
                k, side, _ = o["value"]
                if o["type"] == "ok" and side not in acted.get(k, ()):
                    bad.append(("lost", f"{f} {k}.{side} was acknowledged by node {o['node']} and is not there"))
        told = {}
        for o in ops:
            if o["f"] in ("item", "predicate") and o["type"] == "fail":
                k, side, _ = o["value"]
                told[o["f"], k, side] = o
        for (f, k, side), o in told.items():
            if side in (off if f == "item" else rows).get(k, ()):
                bad.append(("ghost", f"{f} {k}.{side} failed ({o.get('error')}) at node {o['node']} and is there"))
        return bad
