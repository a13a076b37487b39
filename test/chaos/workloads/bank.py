"""bank: money moves between accounts of two tables on many shards, each transfer with a line in a ledger that has no
key. Every audit sees the same sum and no debt; at the end balances are what the ledger says, and the ledger has every
acknowledged transfer once, no failed one, and of the unknown ones some."""
from client import Aborted

from .base import Workload

ACCOUNTS, START = 12, 100


def table(account):
    return "bank_h" if account < ACCOUNTS // 2 else "bank_r"


class Bank(Workload):
    name = "bank"
    workers = 3

    def setup(self, s):
        s.sql("CREATE TABLE bank_h (id int PRIMARY KEY, balance int NOT NULL) WITH (sharding = 'hash', shards = 3)")
        s.sql("CREATE TABLE bank_r (id int PRIMARY KEY, balance int NOT NULL)")
        s.sql("CREATE TABLE bank_ledger (n bigint NOT NULL, src int NOT NULL, dst int NOT NULL, amount int NOT NULL)")
        for a in range(ACCOUNTS):
            s.sql(f"INSERT INTO {table(a)} VALUES (%s, %s)", (a, START))

    def next(self, rng):
        if rng.random() < 0.25:
            return {"f": "audit", "value": None, "block": rng.random() < 0.5}
        src, dst = rng.sample(range(ACCOUNTS), 2)
        return {"f": "transfer", "value": [self.draw(), src, dst, rng.randint(1, 5)],
                "how": rng.choice(("read", "lock", "relative"))}

    def apply(self, s, op):
        if op["f"] == "audit":
            if op["block"]:
                s.begin("READ ONLY")
                rows = s.sql("SELECT id, balance FROM bank_h") + s.sql("SELECT id, balance FROM bank_r")
                s.commit()
            else:
                rows = s.sql("SELECT id, balance FROM bank_h UNION ALL SELECT id, balance FROM bank_r")
            op["value"] = sorted(rows)
            return
        n, src, dst, amount = op["value"]
        s.begin()
        if op["how"] == "relative":
            if s.sql(f"UPDATE {table(src)} SET balance = balance - %s WHERE id = %s AND balance >= %s",
                     (amount, src, amount)) != 1:
                s.rollback()
                raise Aborted("too little money")
            s.sql(f"UPDATE {table(dst)} SET balance = balance + %s WHERE id = %s", (amount, dst))
        else:
            lock = " FOR UPDATE" if op["how"] == "lock" else ""
            have = {a: s.sql(f"SELECT balance FROM {table(a)} WHERE id = %s{lock}", (a,))[0][0] for a in (src, dst)}
            if have[src] < amount:
                s.rollback()
                raise Aborted("too little money")
            for a, delta in ((src, -amount), (dst, amount)):
                s.sql(f"UPDATE {table(a)} SET balance = %s WHERE id = %s", (have[a] + delta, a))
        s.sql("INSERT INTO bank_ledger VALUES (%s, %s, %s, %s)", (n, src, dst, amount))
        s.commit()

    def final(self, s):
        return {"accounts": s.sql("SELECT id, balance FROM bank_h UNION ALL SELECT id, balance FROM bank_r"),
                "ledger": s.sql("SELECT n, src, dst, amount FROM bank_ledger")}

    @staticmethod
    def check(ops, final):
        bad = []
        for o in ops + [{"f": "audit", "type": "ok", "value": final["accounts"], "node": "final"}]:
            if o["f"] != "audit" or o["type"] != "ok":
                continue
            total = sum(b for _, b in o["value"])
            if total != ACCOUNTS * START or len(o["value"]) != ACCOUNTS:
                bad.append(("wrong-total", f"audit at node {o['node']} saw {total} in {len(o['value'])} accounts, not "
                            f"{ACCOUNTS * START}: {o['value']}"))
            elif any(b < 0 for _, b in o["value"]):
                bad.append(("debt", f"audit at node {o['node']}: {o['value']}"))
        should, lines = {a: START for a in range(ACCOUNTS)}, {}
        for n, src, dst, amount in final["ledger"]:
            lines[n] = lines.get(n, 0) + 1
            should[src] -= amount
            should[dst] += amount
        for a, b in final["accounts"]:
            if should[a] != b:
                bad.append(("half-transfer", f"account {a} has {b}, by the ledger {should[a]}"))
        for n, count in lines.items():
            if count > 1:
                bad.append(("doubled", f"transfer {n} is in the ledger {count} times"))
        for o in ops:
            if o["f"] == "transfer":
                n = o["value"][0]
                if o["type"] == "ok" and n not in lines:
                    bad.append(("lost", f"transfer {n} was acknowledged by node {o['node']} and is not there"))
                elif o["type"] == "fail" and n in lines:
                    bad.append(("ghost", f"transfer {n} failed ({o.get('error')}) at node {o['node']} and is there"))
        return bad
