#!/usr/bin/python3
"""sherd_transaction_id() and sherd_transaction_status(): what became of a transaction, asked of any node, also after the
router that ran it is gone."""
import os
import re
import signal
import sys
import threading
import time

import psycopg2

from cluster import Cluster, query
from test_replay import check, expect, fresh


def status(conn, txn):
    return query(conn, "SELECT sherd_transaction_status(%s)", (txn,))[0][0]


def id_of(conn):
    return query(conn, "SELECT sherd_transaction_id()")[0][0]


def known_by_its_router(c):
    fresh(c).close()
    tx, here, there = c.connect(1, autocommit=False), c.connect(1), c.connect(2)
    txn = id_of(tx)
    check(id_of(tx), txn, "the id of one transaction")
    query(tx, "UPDATE t SET v = 0 WHERE id = 1")
    for asker in (here, there):
        check(status(asker, txn), "in progress", "before its commit")
    tx.commit()
    for asker in (here, there, tx):
        check(status(asker, txn), "committed", "after its commit")
    tx.rollback()
    lost = id_of(tx)
    query(tx, "UPDATE t SET v = 0 WHERE id = 2")
    tx.rollback()
    for asker in (here, there):
        check(status(asker, lost), "aborted", "after its rollback")
    incarnation, counter = txn.split(".")
    check(status(here, f"{incarnation}.{int(counter) + 1000000}"), None, "never begun")
    check(status(here, "999999.1"), None, "of no router")
    for bad in ("", "1", "1.", ".1", "1.x", "a.b"):
        expect("22023", lambda b=bad: status(here, b))


def replay_keeps_its_word(c):
    """A transaction that has told its id is not replayed under another one."""
    conn, other = c.connect(autocommit=False), c.connect()
    id_of(conn)
    query(conn, "SELECT count(*) FROM t")
    query(other, "UPDATE t SET v = v + 1 WHERE id = 5")
    expect("40001", lambda: query(conn, "UPDATE t SET v = 7 WHERE id = 5"))
    conn.rollback()


def router_gone(c):
    """The router is killed right after the commit: the shards still know."""
    leader = c.shard_leader()
    node = next(n for n in (1, 2, 3) if n != leader)
    tx = c.connect(node, autocommit=False)
    txn = id_of(tx)
    query(tx, "UPDATE t SET v = 4711 WHERE id = 3")
    tx.commit()
    c.kill(node)
    asker = c.connect(leader)
    check(query(asker, "SELECT v FROM t WHERE id = 3"), [(4711,)], "the row")
    check(status(asker, txn), "committed", "by the shard's record")


def unknown():
    """Both followers stand still while transactions commit at the leader: nobody can tell what becomes of them. The
    clients hear 08007 with the id; when the followers go on, the status by that id is what the rows show."""
    with Cluster(3) as c:
        conn = fresh(c)
        query(conn, "CREATE TABLE h (id int PRIMARY KEY, v int) WITH (sharding = 'hash', shards = 4)")
        query(conn, "INSERT INTO h SELECT g, 0 FROM generate_series(1, 20) g")
        leader = c.shard_leader()
        # name, statements before the commit, what commits, how to see it
        cases = {
            "one shard": (["UPDATE t SET v = 100 WHERE id = 1"], "COMMIT", "SELECT v = 100 FROM t WHERE id = 1"),
            "several shards": (["UPDATE h SET v = 100 WHERE id <= 10"], "COMMIT", "SELECT count(*) = 10 FROM h WHERE v = 100"),
            "autocommit": ([], "UPDATE t SET v = 100 WHERE id = 2", "SELECT v = 100 FROM t WHERE id = 2"),
            "rows to several shards": ([], "INSERT INTO h SELECT g, 7 FROM generate_series(101, 120) g",
                                       "SELECT count(*) = 20 FROM h WHERE v = 7"),
        }
        told = {}

        def run(name, conn, last):
            try:
                query(conn, last)
                told[name] = ("committed", None)
            except psycopg2.Error as e:
                told[name] = (e.pgcode, e.diag.message_detail if e.pgcode else None)
        threads = []
        for name, (before, last, _) in cases.items():
            tx = c.connect(leader)
            for sql in ["BEGIN", *before] if before else []:
                query(tx, sql)
            threads.append(threading.Thread(target=run, args=(name, tx, last)))
        stopped = [c.pid(n) for n in (1, 2, 3) if n != leader]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            for t in threads:
                t.start()
            for t in threads:
                t.join(90)
            took = time.monotonic() - begin
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        print(f"  told after {took:.0f} s: { {n: s for n, (s, _) in told.items()} }", flush=True)
        asker = c.connect_retry(leader)
        query(asker, "SET statement_timeout = '60s'")
        unknown_ones = 0
        for name, (_, _, see) in cases.items():
            state, detail = told[name]
            if state in ("40001", "57P03"):  # sure that nothing was done: its rows did not get as far as the commit
                check(query(asker, see), [(False,)], f"{name}: refused")
                continue
            check(state, "08007", f"{name}: what the client hears")
            unknown_ones += 1
            txn = re.search(r"\b(\d+\.\d+)\b", detail or "")
            if txn is None:
                raise RuntimeError(f"{name}: the error does not name the transaction: {detail!r}")
            end = time.monotonic() + 40
            while (now := status(asker, txn[1])) == "in progress" and time.monotonic() < end:
                time.sleep(0.1)
            is_there = query(asker, see)[0][0]
            print(f"  {name}: {now}, rows there: {is_there}", flush=True)
            if now is not None:
                check((now, is_there), ("committed", True) if is_there else ("aborted", False), f"{name}: status and rows")
            for node in (1, 2, 3):
                check(status(c.connect_retry(node), txn[1]), now, f"{name}: asked of node {node}")
        if unknown_ones == 0:
            raise RuntimeError("no outcome was unknown")


def main():
    with Cluster(3) as c:
        for test in (known_by_its_router, replay_keeps_its_word, router_gone):
            test(c)
            print(f"{test.__name__}: ok", flush=True)
    unknown()
    print("unknown: ok", flush=True)


if __name__ == "__main__":
    sys.exit(main())
