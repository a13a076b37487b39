"""list-append: transactions read lists and append to them; the checker infers the dependency graph (graph.py).

Even keys live in a hash-sharded table, odd ones in one of the default shard, so transactions cross shards. Reads are by
key, by a range of keys, by a secondary index, with and without locks; single operations also without BEGIN, which takes
the paths of a read at LATEST and of a commit within the write's own call.
"""
import graph

from .base import Workload

KEYS, APPENDS, GROUP = 6, 40, 3


def table(key):
    return "la_h" if key % 2 == 0 else "la_r"


def parse(text):
    return [int(x) for x in text.split(",")] if text else []


class ListAppend(Workload):
    name = "list-append"
    workers = 4

    def __init__(self):
        super().__init__()
        self.keys, self.used, self.element = list(range(KEYS)), {}, 0

    def setup(self, s):
        s.sql("CREATE TABLE la_h (k int PRIMARY KEY, g int NOT NULL, v text NOT NULL) "
              "WITH (sharding = 'hash', shards = 3)")
        s.sql("CREATE TABLE la_r (k int PRIMARY KEY, g int NOT NULL, v text NOT NULL)")
        for t in ("la_h", "la_r"):
            s.sql(f"CREATE INDEX {t}_g ON {t} (g)")

    def next(self, rng):
        value = []
        with self.lock:
            for _ in range(rng.choice((1, 1, 2, 3, 4))):
                key = self.keys[min(int(rng.expovariate(0.5)), KEYS - 1)]
                if rng.random() < 0.5:
                    self.element += 1
                    value.append(["append", key, self.element])
                    self.used[key] = self.used.get(key, 0) + 1
                    if self.used[key] == APPENDS:
                        self.keys[self.keys.index(key)] = max(self.keys) + 1
                else:
                    value.append(["r", key, None])
        how = rng.choice(("block", "block", "auto")) if len(value) == 1 else "block"
        return {"f": "txn", "value": value, "how": how, "read": rng.choice(("key", "key", "range", "index", "lock"))}

    def apply(self, s, op):
        write = s.auto if op["how"] == "auto" else s.sql
        if op["how"] == "block":
            s.begin()
        out = []
        for f, k, v in op["value"]:
            t = table(k)
            if f == "append":
                write(f"INSERT INTO {t} AS t VALUES (%s, %s, %s) "
                      "ON CONFLICT (k) DO UPDATE SET v = t.v || ',' || excluded.v", (k, k // GROUP, str(v)))
                out.append([f, k, v])
            elif op["read"] == "range":
                rows = dict(s.sql(f"SELECT k, v FROM {t} WHERE k BETWEEN %s AND %s", (k, k + 2)))
                out += [["r", x, parse(rows.get(x))] for x in (k, k + 2)]
            elif op["read"] == "index":
                g = k // GROUP
                rows = dict(s.sql(f"SELECT k, v FROM {t} WHERE g = %s", (g,)))
                out += [["r", x, parse(rows.get(x))] for x in range(g * GROUP, (g + 1) * GROUP) if x % 2 == k % 2]
            else:
                lock = " FOR UPDATE" if op["read"] == "lock" and op["how"] == "block" else ""
                rows = s.sql(f"SELECT v FROM {t} WHERE k = %s{lock}", (k,))
                out.append(["r", k, parse(rows[0][0] if rows else "")])
        if op["how"] == "block":
            s.commit()
        op["value"] = out

    def final(self, s):
        rows = s.sql("SELECT k, v FROM la_h UNION ALL SELECT k, v FROM la_r")
        return {str(k): parse(v) for k, v in rows}

    @staticmethod
    def check(ops, final, realtime=True):
        end = max((o["t1"] for o in ops), default=0) + 1
        touched = {k for o in ops for f, k, _ in o["value"] if f == "append"}
        last = {"type": "ok", "t0": end, "t1": end, "value": [["r", k, final.get(str(k), [])] for k in sorted(touched)]}
        g = graph.Graph([o for o in ops if o["type"] != "fail" or any(f == "append" for f, _, _ in o["value"])]
                        + [last])
        return g.check(realtime, touched)
