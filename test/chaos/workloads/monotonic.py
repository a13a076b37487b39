"""monotonic: counters that are only added to. Every acknowledged increment has a value of its own, values rise with
real time, and at the end the counter is no more than what was acknowledged and unknown, and no less than what was
acknowledged: an increment applied twice or lost shows."""
from .base import Workload

KEYS = 4


class Monotonic(Workload):
    name = "monotonic"
    workers = 3

    def setup(self, s):
        s.sql("CREATE TABLE mono (k int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 3)")
        for k in range(KEYS):
            s.sql("INSERT INTO mono VALUES (%s, 0)", (k,))

    def next(self, rng):
        x = rng.random()
        if x < 0.25:
            return {"f": "read", "value": {}, "keys": [rng.randrange(KEYS)]}
        if x < 0.75:
            return {"f": "add", "value": {}, "keys": [rng.randrange(KEYS)]}
        return {"f": "add", "value": {}, "keys": rng.sample(range(KEYS), 2)}

    def apply(self, s, op):
        text = "UPDATE mono SET v = v + 1 WHERE k = %s RETURNING v"
        if op["f"] == "read":
            k = op["keys"][0]
            op["value"] = {str(k): s.sql("SELECT v FROM mono WHERE k = %s", (k,))[0][0]}
        elif len(op["keys"]) == 1:
            k = op["keys"][0]
            op["value"] = {str(k): s.auto(text, (k,))[0][0]}
        else:
            s.begin()
            value = {str(k): s.sql(text, (k,))[0][0] for k in op["keys"]}
            s.commit()
            op["value"] = value

    def final(self, s):
        return {str(k): v for k, v in s.sql("SELECT k, v FROM mono")}

    @staticmethod
    def check(ops, final, realtime=True):
        bad = []
        for k in range(KEYS):
            name = str(k)
            adds = [o for o in ops if o["f"] == "add" and k in o["keys"]]
            done = [o for o in adds if o["type"] == "ok"]
            unknown = sum(o["type"] == "info" for o in adds)
            values = [o["value"][name] for o in done]
            if len(set(values)) != len(values):
                twice = sorted(v for v in set(values) if values.count(v) > 1)
                bad.append(("lost-update", f"counter {k}: two increments were answered with {twice[:5]}"))
            have = final.get(name, -1)
            if have < len(done):
                bad.append(("lost", f"counter {k} is {have}; {len(done)} increments were acknowledged"))
            if have > len(done) + unknown:
                bad.append(("doubled", f"counter {k} is {have}; {len(done)} were acknowledged, {unknown} unknown"))
            if not realtime:
                continue
            seen = sorted((o for o in ops if o["type"] == "ok" and name in o["value"]), key=lambda o: o["t0"])
            ended = sorted(seen, key=lambda o: o["t1"])
            at, highest, by = 0, -1, None
            for o in seen:
                while at < len(ended) and ended[at]["t1"] < o["t0"]:
                    if ended[at]["value"][name] > highest:
                        highest, by = ended[at]["value"][name], ended[at]
                    at += 1
                v = o["value"][name]
                if v < highest or (v == highest and o["f"] == "add" and by["f"] == "add"):
                    bad.append(("stale", f"counter {k}: {o['f']} at node {o['node']} gave {v} "
                                f"{o['t0'] - by['t1']:.4f} s after node {by['node']} had answered {highest}"))
            if any(v > have for o in seen for v in [o["value"][name]]):
                bad.append(("lost", f"counter {k} is {have} at the end, and was higher before"))
        return bad
