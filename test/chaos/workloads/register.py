"""register: single rows read, written and compared-and-set; linearizable per key (linear.py)."""
import linear

from .base import Workload

KEYS, OPS = 3, 120


class Register(Workload):
    name = "register"
    workers = 3

    def __init__(self):
        super().__init__()
        self.last = {}

    def setup(self, s):
        s.sql("CREATE TABLE reg (k int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 3)")

    def next(self, rng):
        n = self.draw()
        key = n // (KEYS * OPS) * KEYS + n % KEYS
        f = rng.choice(("read", "read", "write", "cas"))
        value = None
        if f == "write":
            value = n + 1
        elif f == "cas":
            # What was last heard of the key: often still true, often just overtaken.
            value = [self.last.get(key), n + 1, None]
            if value[0] is None:
                f, value = "write", n + 1
        return {"f": f, "k": key, "value": value, "block": rng.random() < 0.3}

    def apply(self, s, op):
        k, v = op["k"], op["value"]
        if op["f"] == "read":
            if op["block"]:
                s.begin()
            rows = s.sql("SELECT v FROM reg WHERE k = %s", (k,))
            if op["block"]:
                s.commit()
            op["value"] = self.last[k] = rows[0][0] if rows else None
        elif op["f"] == "write":
            s.auto("INSERT INTO reg VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = excluded.v", (k, v))
            self.last[k] = v
        elif op["block"]:
            s.begin()
            rows = s.sql("SELECT v FROM reg WHERE k = %s", (k,))
            hit = bool(rows) and rows[0][0] == v[0]
            if hit:
                s.sql("UPDATE reg SET v = %s WHERE k = %s", (v[1], k))
            s.commit()
            op["value"] = [v[0], v[1], hit]
        else:
            count = s.auto("UPDATE reg SET v = %s WHERE k = %s AND v = %s", (v[1], k, v[0]))
            op["value"] = [v[0], v[1], count == 1]

    def final(self, s):
        return {str(k): v for k, v in s.sql("SELECT k, v FROM reg")}

    @staticmethod
    def check(ops, final):
        bad, by_key = [], {}
        for o in ops:
            by_key.setdefault(o["k"], []).append(o)
        end = max((o["t1"] for o in ops), default=0) + 1
        for k, of_key in by_key.items():
            last = {"f": "read", "value": final.get(str(k)), "type": "ok", "t0": end, "t1": end}
            text = linear.check(of_key + [last])
            if text is not None:
                bad.append(("not-linearizable", f"key {k}: {text}"))
        return bad
