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
import os
import random
import re
import statistics
import sys
import threading
import time

import psycopg2

import client
from nodes import Cluster

ACCOUNTS, TELLERS = 100000, 10  # of a branch
DEADLINE = 10.0
GIVE_UP = 60.0

TABLES = (
    "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88))",
    "CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84))",
    "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
    "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
)


def load(session, scale):
    for text in TABLES:
        session.sql(text)
    for b in range(1, scale + 1):
        session.sql("INSERT INTO pgbench_branches VALUES (%s, 0)", (b,))
        session.sql("INSERT INTO pgbench_tellers SELECT i, %s, 0 FROM generate_series(%s, %s) i",
                    (b, b * TELLERS - TELLERS + 1, b * TELLERS))
        session.sql("INSERT INTO pgbench_accounts SELECT i, %s, 0, '' FROM generate_series(%s, %s) i",
                    (b, b * ACCOUNTS - ACCOUNTS + 1, b * ACCOUNTS))


class Teller(threading.Thread):
    """One client: transaction after transaction at one node, after a broken connection at the next one."""

    def __init__(self, cluster, number, scale, seed):
        super().__init__(daemon=True)
        self.cluster, self.number, self.scale = cluster, number, scale
        self.rng = random.Random(seed)
        self.stop = threading.Event()
        self.done = []  # (begin, end, label) of acknowledged ones
        self.unknown, self.refused = set(), {}  # labels; label -> SQLSTATE or text
        self.failure = None

    def run(self):
        try:
            self.work()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e
            raise

    def work(self):
        at, session, n = self.number, None, 0
        while not self.stop.is_set():
            if session is None:
                session = client.Session(self.cluster.storage[at % len(self.cluster.storage)], DEADLINE)
                try:
                    session.connect()
                except (psycopg2.Error, client.Timeout):
                    session.close()
                    session, at = None, at + 1
                    self.stop.wait(0.02)
                    continue
            n += 1
            label = f"{self.number}.{n}"
            begin = time.monotonic()
            session.is_unsure = False
            try:
                self.transaction(session, label)
                self.done.append((begin, time.monotonic(), label))
            except (psycopg2.Error, client.Timeout) as e:
                kind, text = client.outcome(session, e)
                if kind == "info":
                    self.unknown.add(label)
                else:
                    self.refused[label] = text
                session.recover()
                if getattr(e, "pgcode", None) is None:
                    session.close()
                if session.conn is None:
                    session, at = None, at + 1
        if session is not None:
            session.close()

    def transaction(self, session, label):
        r = self.rng
        aid, tid = r.randint(1, ACCOUNTS * self.scale), r.randint(1, TELLERS * self.scale)
        bid, delta = r.randint(1, self.scale), r.randint(-5000, 5000)
        session.begin()
        session.sql("UPDATE pgbench_accounts SET abalance = abalance + %s WHERE aid = %s", (delta, aid))
        session.sql("SELECT abalance FROM pgbench_accounts WHERE aid = %s", (aid,))
        session.sql("UPDATE pgbench_tellers SET tbalance = tbalance + %s WHERE tid = %s", (delta, tid))
        session.sql("UPDATE pgbench_branches SET bbalance = bbalance + %s WHERE bid = %s", (delta, bid))
        session.sql("INSERT INTO pgbench_history VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP, %s)",
                    (tid, bid, aid, delta, label))
        session.commit()


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


def kill_once(cluster, tellers, shard):
    """Gap of one kill, in seconds. The node is ready again when this returns."""
    number = wait_for("a leader", GIVE_UP, lambda: leader_of(cluster, shard))
    node = cluster.node(number)
    node.kill()
    killed = time.monotonic()

    def first_since():
        return min((e for t in tellers for b, e, _ in t.done[-50:] if b > killed), default=None)

    after = wait_for("a commit after the kill", GIVE_UP, first_since)
    before = max(e for t in tellers for b, e, _ in t.done if b <= killed and e <= killed)
    node.start()
    cluster.wait_ready(GIVE_UP, [node])
    return after - before


def audit(session, tellers):
    """What is wrong, as a list of texts, and the number of acknowledged transactions."""
    wrong = []
    sums = {t: session.sql(f"SELECT coalesce(sum({c}), 0) FROM pgbench_{t}")[0][0] for t, c in (
        ("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))}
    if len(set(sums.values())) != 1:
        wrong.append(f"money: {sums}")
    history = session.sql("SELECT filler, tid, bid, delta FROM pgbench_history")
    for table, column, balance in (("branches", "bid", "bbalance"), ("tellers", "tid", "tbalance")):
        want = {}
        for _, tid, bid, delta in history:
            key = bid if column == "bid" else tid
            want[key] = want.get(key, 0) + delta
        for key, has in session.sql(f"SELECT {column}, {balance} FROM pgbench_{table}"):
            if has != want.get(key, 0):
                wrong.append(f"{table} {key} has {has}, its history says {want.get(key, 0)}")
    times = {}
    for filler, *_ in history:
        times[filler.strip()] = times.get(filler.strip(), 0) + 1
    acknowledged = [label for t in tellers for _, _, label in t.done]
    allowed = set(acknowledged).union(*(t.unknown for t in tellers))
    missing = [x for x in acknowledged if x not in times]
    doubled = [x for x, n in times.items() if n > 1]
    ghosts = [x for x in times if x not in allowed]
    for what, labels in (("acknowledged and missing", missing), ("there twice", doubled), ("refused and there", ghosts)):
        if labels:
            wrong.append(f"{what}: {len(labels)}, such as {labels[:3]}")
    return wrong, len(acknowledged)


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
        load(session, args.scale)
        plan = session.sql("EXPLAIN SELECT bbalance FROM pgbench_branches WHERE bid = 1")
        shard = int(re.search(r"Shards: (\d+)", "\n".join(r[0] for r in plan)).group(1))
        session.close()
        tellers = [Teller(cluster, i, args.scale, rng.random()) for i in range(args.clients)]
        begin = time.monotonic()
        for t in tellers:
            t.start()
        wait_for("every client at work", GIVE_UP, lambda: all(len(t.done) >= 20 for t in tellers))
        gaps = {"shard": [], "metadata": []}
        for k in range(args.kills):
            kind = "metadata" if k % 2 else "shard"
            gaps[kind].append(kill_once(cluster, tellers, None if k % 2 else shard))
            time.sleep(rng.uniform(0.5, 1.5))
        for t in tellers:
            t.stop.set()
        for t in tellers:
            t.join(DEADLINE * 3)
        took = time.monotonic() - begin
        wrong = [f"client {t.number}: {t.failure!r}" for t in tellers if t.failure is not None]
        wrong += [f"client {t.number} hangs" for t in tellers if t.is_alive()]
        session = client.Session(cluster.storage[0], 120)
        session.connect()
        found, acknowledged = audit(session, tellers)
        wrong += found
        session.close()
    states = {}
    for t in tellers:
        for text in t.refused.values():
            states[text] = states.get(text, 0) + 1
    both = gaps["shard"] + gaps["metadata"]
    print(f"TPC-B, scale {args.scale}, {args.clients} clients, {args.kills} kills of leaders, seed {args.seed}, "
          f"load average {os.getloadavg()[0]:.1f}")
    for kind, g in (("shard", gaps["shard"]), ("metadata", gaps["metadata"]), ("both", both)):
        if g:
            print(f"    gap, {kind}: median {statistics.median(g):.2f} s, worst {max(g):.2f} s ({len(g)} kills)")
    print(f"    {acknowledged} acknowledged ({acknowledged / took:.0f}/s), "
          f"{sum(len(t.unknown) for t in tellers)} unknown, refused: "
          + (", ".join(f"{k} x{v}" for k, v in sorted(states.items(), key=lambda e: -e[1])) or "none"))
    for text in wrong:
        print(f"  FAILED {text}")
    print("FAIL" if wrong else "PASS: money conserved, all acknowledged there once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
