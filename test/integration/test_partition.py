#!/usr/bin/python3
"""A router that is cut off from the other nodes: what its transactions hold in the shards is freed, they cannot commit
when the network is back, and nothing of them is left anywhere. Each node has a network namespace of its own; needs root
(exit code 77 without).

usage: test_partition.py [--long]     (also what nobody waits for, which is kept for a minute)
"""
import os
import subprocess
import sys
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
from nodes import Cluster  # noqa: E402

from cluster import query  # noqa: E402
from test_replay import check  # noqa: E402

GAUGES = ("sherd_txn_open", "sherd_shard_workspaces", "sherd_shard_locks", "sherd_shard_workspace_bytes")


def connect(node):
    c = psycopg2.connect(host=node.host, port=node.sql_port, user="sherd", dbname="sherd", connect_timeout=10)
    c.autocommit = True
    return c


def held(nodes):
    return {g: sum(n.metric(g) for n in nodes) for g in GAUGES}


def until(what, seconds, condition):
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begin


def leaders(c):
    status = c.status()
    return [s["leader"] for s in status["shards"]] if status is not None else []


def cut_off(c, is_waited_for):
    """The transaction has locks and writes in shards of other nodes when its router's node loses them."""
    conn = connect(c.nodes[0])
    query(conn, "DROP TABLE IF EXISTS t")
    query(conn, "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 4)")
    query(conn, "INSERT INTO t SELECT i, i FROM generate_series(1, 100) i")
    # The node that leads least: most of its transaction's workspaces are elsewhere.
    now = leaders(c)
    cut = min(c.nodes, key=lambda n: now.count(n.number))
    rest = [n for n in c.nodes if n is not cut]
    tx = connect(cut)
    query(tx, "BEGIN")
    query(tx, "UPDATE t SET v = -1 WHERE id <= 50")
    query(tx, "SELECT * FROM t WHERE id > 90 FOR SHARE")
    until("the gauges show the transaction", 10, lambda: all(held(c.nodes).values()))
    c.net.isolate(cut.number, [n.number for n in c.nodes])
    begin = time.monotonic()
    other = connect(rest[0])
    if is_waited_for:
        query(other, "SET statement_timeout = '60s'")
        query(other, "UPDATE t SET v = v + 1000")  # waits for every shard's locks
        print(f"  a writer had its locks after {time.monotonic() - begin:.1f} s", flush=True)
    until("the other nodes hold nothing", 30 if is_waited_for else 90, lambda: not any(held(rest).values()))
    took = time.monotonic() - begin
    print(f"  free after {took:.1f} s", flush=True)
    c.net.heal()
    try:
        query(tx, "COMMIT")
        raise RuntimeError("the transaction of the router that was cut off has committed")
    except psycopg2.Error as e:
        check(e.pgcode, "40001", "what the client of the router that was cut off is told")
    until("nothing is left anywhere", 30, lambda: not any(held(c.nodes).values()))
    added = 100000 if is_waited_for else 0
    check(query(other, "SELECT count(*), sum(v) FROM t"), [(100, 5050 + added)], "rows")
    query(tx, "ROLLBACK")
    query(tx, "UPDATE t SET v = 1 WHERE id = 1")
    tx.close()


def can_make_namespaces():
    name = f"probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], check=False).returncode != 0:
        return False
    can_enter = subprocess.run(["ip", "netns", "exec", name, "true"], check=False).returncode == 0
    subprocess.run(["ip", "netns", "del", name], check=True)
    return can_enter


def main():
    if os.geteuid() != 0 or not can_make_namespaces():
        print("needs network namespaces: root, and outside of a container that has not the right to make them")
        return 77
    with Cluster(3, use_namespaces=True) as c:
        c.start()
        for is_waited_for in (True, False) if "--long" in sys.argv else (True,):
            cut_off(c, is_waited_for)
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
