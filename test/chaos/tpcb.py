#!/usr/bin/python3
"""TPC-B while leaders are killed: how long until commits go on, and is all the money there.

usage: tpcb.py [--kills N] [--clients N] [--scale N] [--seed N]      (SHERD_BIN names the directory of the binaries)

The transaction is pgbench's, at its tables, on the default isolation level; the filler of each history row is a label
that is used once, so that every acknowledged transaction can be looked for. kill -9 meets the leader of the shard of
pgbench_branches and pgbench_tellers, which every transaction needs, and the leader of the metadata group, in turn; the
node is started again and is ready before the next kill. Gap: from the last acknowledged commit before the kill to the
first one of a transaction that began after it.

At the end: accounts, tellers, branches and history have one sum, also each branch and each teller; acknowledged
transactions are there once, refused ones are not, unknown ones are there once or not at all. Exit code 1 if not.
"""
import argparse
import collections
import os
import random
import re
import statistics
import sys
import threading
import time
import types

import client
from nodes import Cluster
from workloads.base import Workload

ACCOUNTS, TELLERS = 100000, 10  # of a branch
DEADLINE = 10.0
GIVE_UP = 60.0

TABLES = (
    "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88))",
    "CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84))",
    "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
    "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
)


class TpcB(Workload):
    """Transactions that move money, each with a label in its history row."""

    name = "tpcb"

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def setup(self, s):
        for text in TABLES:
            s.sql(text)
        for b in range(1, self.scale + 1):
            s.sql("INSERT INTO pgbench_branches VALUES (%s, 0)", (b,))
            s.sql("INSERT INTO pgbench_tellers SELECT i, %s, 0 FROM generate_series(%s, %s) i",
                  (b, b * TELLERS - TELLERS + 1, b * TELLERS))
            s.sql("INSERT INTO pgbench_accounts SELECT i, %s, 0, '' FROM generate_series(%s, %s) i",
                  (b, b * ACCOUNTS - ACCOUNTS + 1, b * ACCOUNTS))

    def next(self, rng):
        return {"f": "transfer", "value": str(self.draw()), "aid": rng.randint(1, ACCOUNTS * self.scale),
                "tid": rng.randint(1, TELLERS * self.scale), "bid": rng.randint(1, self.scale), "delta": rng.randint(-5000, 5000)}

    def apply(self, s, op):
        aid, tid, bid, delta = op["aid"], op["tid"], op["bid"], op["delta"]
        s.begin()
        s.sql("UPDATE pgbench_accounts SET abalance = abalance + %s WHERE aid = %s", (delta, aid))
        s.sql("SELECT abalance FROM pgbench_accounts WHERE aid = %s", (aid,))
        s.sql("UPDATE pgbench_tellers SET tbalance = tbalance + %s WHERE tid = %s", (delta, tid))
        s.sql("UPDATE pgbench_branches SET bbalance = bbalance + %s WHERE bid = %s", (delta, bid))
        s.sql("INSERT INTO pgbench_history VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP, %s)", (tid, bid, aid, delta, op["value"]))
        s.commit()

    def final(self, s):
        sums = {t: s.sql(f"SELECT coalesce(sum({c}), 0) FROM pgbench_{t}")[0][0] for t, c in (
            ("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))}
        return {"sums": sums, "history": s.sql("SELECT filler, tid, bid, delta FROM pgbench_history"),
                "branches": s.sql("SELECT bid, bbalance FROM pgbench_branches"),
                "tellers": s.sql("SELECT tid, tbalance FROM pgbench_tellers")}

    @staticmethod
    def check(ops, final):
        wrong = []
        if len(set(final["sums"].values())) != 1:
            wrong.append(("wrong-total", f"{final['sums']}"))
        for table, at in (("tellers", 1), ("branches", 2)):
            want = collections.Counter()
            for row in final["history"]:
                want[row[at]] += row[3]
            wrong += [("half-transfer", f"{table} {key} has {has}, its history says {want[key]}")
                      for key, has in final[table] if has != want[key]]
        times = collections.Counter(row[0].strip() for row in final["history"])
        outcome = {o["value"]: o["type"] for o in ops}
        for what, labels in (("lost", [x for x, kind in outcome.items() if kind == "ok" and x not in times]),
                             ("doubled", [x for x, n in times.items() if n > 1]),
                             ("ghost", [x for x in times if outcome.get(x, "fail") == "fail"])):
            if labels:
                wrong.append((what, f"{len(labels)}, such as {labels[:3]}"))
        return wrong


def wait_for(what, seconds, probe):
    end = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)


def leader_of(cluster, shard):
    """Number of the node that leads the shard (None: the metadata group); None while nobody can tell."""
    s = cluster.status()
    if s is None:
        return None
    if shard is None:
        return s.get("metadata_leader") or None
    return next((x["leader"] for x in s["shards"] if x["shard"] == shard and x.get("leader")), None)


def kill_once(cluster, history, shard):
    """Gap of one kill, in seconds. The node is ready again when this returns."""
    number = wait_for("a leader", GIVE_UP, lambda: leader_of(cluster, shard))
    node = cluster.node(number)
    node.kill()
    killed = time.monotonic()

    def first_since():
        return min((o["t1"] for o in history.ops[-1000:] if o["type"] == "ok" and o["t0"] > killed), default=None)

    after = wait_for("a commit after the kill", GIVE_UP, first_since)
    before = max(o["t1"] for o in list(history.ops) if o["type"] == "ok" and o["t1"] <= killed)
    node.start()
    cluster.wait_ready(GIVE_UP, [node])
    return after - before


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--kills", type=int, default=20)
    ap.add_argument("--clients", type=int, default=16)
    ap.add_argument("--scale", type=int, default=10)
    ap.add_argument("--seed", type=int, default=random.randrange(1000000))
    args = ap.parse_args()
    rng = random.Random(args.seed)
    with Cluster() as cluster:
        cluster.start()
        session = client.Session(cluster.storage[0], 300)
        session.connect()
        work = TpcB(args.scale)
        work.setup(session)
        plan = session.sql("EXPLAIN SELECT bbalance FROM pgbench_branches WHERE bid = 1")
        shard = int(re.search(r"Shards: (\d+)", "\n".join(r[0] for r in plan)).group(1))
        session.close()
        run = types.SimpleNamespace(cluster=cluster, stop=threading.Event(), deadline=DEADLINE, isolation=None,
                                    history=client.History())
        ops = run.history.ops
        workers = [client.Worker(run, work, i, rng.random()) for i in range(args.clients)]
        begin = time.monotonic()
        for w in workers:
            w.start()
        wait_for("every client at work", GIVE_UP, lambda: all(
            sum(o["p"] == w.number and o["type"] == "ok" for o in ops[-10000:]) >= 20 for w in workers))
        gaps = {"shard": [], "metadata": []}
        for k in range(args.kills):
            kind = "metadata" if k % 2 else "shard"
            gaps[kind].append(kill_once(cluster, run.history, None if k % 2 else shard))
            time.sleep(rng.uniform(0.5, 1.5))
        run.stop.set()
        for w in workers:
            w.join(DEADLINE * 3)
        took = time.monotonic() - begin
        wrong = [f"client {w.number}: {w.failure!r}" for w in workers if w.failure is not None]
        wrong += [f"client {w.number} hangs" for w in workers if w.is_alive()]
        wrong += [f"never expected: {code} {text}" for text, code in run.history.unexpected.items()]
        session = client.Session(cluster.storage[0], 120)
        session.connect()
        wrong += [f"{kind}: {text}" for kind, text in work.check(ops, work.final(session))]
        session.close()
    kinds = collections.Counter(o["type"] for o in ops)
    states = collections.Counter(o["error"] for o in ops if o["type"] == "fail")
    both = gaps["shard"] + gaps["metadata"]
    print(f"TPC-B, scale {args.scale}, {args.clients} clients, {args.kills} kills of leaders, seed {args.seed}, "
          f"load average {os.getloadavg()[0]:.1f}")
    for kind, g in (("shard", gaps["shard"]), ("metadata", gaps["metadata"]), ("both", both)):
        if g:
            print(f"    gap, {kind}: median {statistics.median(g):.2f} s, worst {max(g):.2f} s ({len(g)} kills)")
    print(f"    {kinds['ok']} acknowledged ({kinds['ok'] / took:.0f}/s), {kinds['info']} unknown, refused: "
          + (", ".join(f"{k} x{v}" for k, v in states.most_common()) or "none"))
    for text in wrong:
        print(f"  FAILED {text}")
    print("FAIL" if wrong else "PASS: money conserved, all acknowledged there once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
