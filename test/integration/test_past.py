#!/usr/bin/python3
"""Reads in the past: sherd.as_of and sherd.read_staleness, their bounds, and replicas that serve them without leading,
also while the leader is gone."""
import contextlib
import sys
import threading
import time

import psycopg2

from cluster import Cluster, query
from server import Server, await_that
from test_replay import check, expect, fresh, metric


def snapshot(conn):
    return query(conn, "SELECT sherd_snapshot()")[0][0]


def age_ms(conn, when):
    return query(conn, "SELECT (extract(epoch FROM clock_timestamp() - %s) * 1000)::int", (when,))[0][0]


def forms(c):
    conn = fresh(c)
    first = snapshot(conn)
    query(conn, "UPDATE t SET v = v * 10")
    second = snapshot(conn)
    query(conn, "DELETE FROM t WHERE id > 4")
    if not first < second < snapshot(conn):
        raise RuntimeError("snapshots do not rise")
    for ts, wanted in ((first, (8, 36)), (second, (8, 360))):
        query(conn, f"SET sherd.as_of = '{ts}'")
        check(query(conn, "SELECT count(*), sum(v) FROM t"), [wanted], f"as of {ts}")
        check(query(conn, "SELECT v FROM t WHERE id = 3"), [(3 if ts == first else 30,)], "by key")
        check(snapshot(conn), ts, "sherd_snapshot() in the past")
        check(query(conn, "SHOW transaction_read_only"), [("on",)], "read only")
        expect("25006", lambda: query(conn, "INSERT INTO t VALUES (50, 1)"))
        expect("25006", lambda: query(conn, "SELECT * FROM t FOR UPDATE"))
        expect("25006", lambda: query(conn, "CREATE TABLE u (a int)"))
    query(conn, "RESET sherd.as_of")
    check(query(conn, "SELECT count(*), sum(v) FROM t"), [(4, 100)], "now")

    # A block, by SET LOCAL; the age counts from its begin and stays.
    tx = c.connect(autocommit=False)
    query(tx, f"SET LOCAL sherd.as_of = '{first}'")
    check(query(tx, "SELECT sum(v) FROM t"), [(36,)], "in a block")
    expect("25001", lambda: query(tx, "SET LOCAL sherd.as_of = '-1s'"))
    tx.rollback()
    check(query(tx, "SELECT sum(v) FROM t"), [(100,)], "after the block")
    tx.rollback()
    # A time of the clock: the very same state comes back by it and by the age.
    gap = 500  # ms
    query(conn, "INSERT INTO t VALUES (60, 1000)")
    when = query(conn, "SELECT clock_timestamp()")[0][0]
    check(query(conn, f"SELECT pg_sleep({gap / 1000})"), [("",)], "sleep")
    query(conn, "UPDATE t SET v = 0")
    query(conn, f"SET sherd.as_of = '{when}'")
    check(query(conn, "SELECT sum(v) FROM t"), [(1100,)], "by the clock")

    def by_age():
        age = age_ms(conn, when)
        query(conn, f"SET sherd.as_of = '-{age}ms'")
        rows = query(conn, "SELECT sum(v) FROM t")
        query(conn, "RESET sherd.as_of")
        return rows if age_ms(conn, when) - age < gap else None  # else it may have been read as of the UPDATE

    check(await_that(by_age, "a read that takes less than the gap"), [(1100,)], "by age")

    # Bounds.
    for value in ("tomorrow's", "0", "-5 parsecs", "12:"):
        expect("22023", lambda v=value: query(conn, "SET sherd.as_of = %s", (v,)))
    query(conn, "SET sherd.as_of = '2999-01-01 00:00:00+00'")
    expect("22023", lambda: query(conn, "SELECT count(*) FROM t"))
    query(conn, "RESET sherd.as_of")
    before = snapshot(conn)
    query(conn, "CREATE TABLE later (a int)")
    query(conn, "ALTER TABLE t ADD COLUMN w int DEFAULT 5")
    after = snapshot(conn)
    query(conn, f"SET sherd.as_of = '{before}'")
    expect("0A000", lambda: query(conn, "SELECT * FROM later"))
    expect("0A000", lambda: query(conn, "SELECT v FROM t"))
    query(conn, f"SET sherd.as_of = '{after}'")
    check(query(conn, "SELECT sum(w) FROM t"), [(25,)], "after the change")
    query(conn, "RESET sherd.as_of")
    query(conn, "CREATE INDEX t_v ON t (v)")
    query(conn, f"SET sherd.as_of = '{after}'")
    expect("0A000", lambda: query(conn, "SELECT id FROM t WHERE v = 0"))


def has_rows(conn):
    """False: as of so long ago the table was not there (0A000), or empty."""
    try:
        return len(query(conn, "SELECT v FROM pair")) == 2
    except psycopg2.errors.FeatureNotSupported:
        return False


def staleness(c):
    """Every node reads as of two seconds ago while one writes: by its own replica, and never a torn state."""
    conn = c.connect(c.shard_leader() or 1)
    query(conn, "CREATE TABLE pair (id int PRIMARY KEY, v int)")
    query(conn, "INSERT INTO pair VALUES (1, 0), (2, 0)")
    stop, start, failed, seen = threading.Event(), threading.Barrier(4), [], [0] * 4

    def write():
        n = 0
        with contextlib.suppress(threading.BrokenBarrierError):  # a reader has failed
            start.wait()
        w = c.connect(c.shard_leader() or 1)
        while not stop.is_set():
            n += 1
            query(w, "UPDATE pair SET v = %s", (n,))

    def read(node):
        r = c.connect(node)
        query(r, "SET sherd.read_staleness = '300ms'")
        last = -1
        try:
            await_that(lambda: has_rows(r), "the table and its rows are older than the staleness")
            start.wait()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                rows = query(r, "SELECT v FROM pair")
                if rows[0] != rows[1] or rows[0][0] < last:
                    raise RuntimeError(f"node {node} read {rows} after {last}")
                last = rows[0][0]
                seen[node] += 1
        except Exception as e:  # noqa: BLE001 - told by the main thread
            failed.append(e)
            start.abort()

    before = [metric(c, "sherd_shard_follower_reads_total", n) for n in (1, 2, 3)]
    readers = [threading.Thread(target=read, args=(n,)) for n in (1, 2, 3)]
    writer = threading.Thread(target=write)
    for t in readers + [writer]:
        t.start()
    for t in readers:
        t.join()
    stop.set()
    writer.join()
    if failed:
        raise failed[0]
    served = sum(metric(c, "sherd_shard_follower_reads_total", n) - b for n, b in zip((1, 2, 3), before))
    followers = sum(seen) - max(seen)
    if served < min(seen[1:]) or min(seen[1:]) == 0:
        raise RuntimeError(f"{seen[1:]} reads, {served} by followers")
    # A writing transaction and one that is not read-only are of the present.
    query(conn, "SET sherd.read_staleness = '1h'")
    query(conn, "UPDATE pair SET v = -1")
    conn.autocommit = False
    check(query(conn, "SELECT DISTINCT v FROM pair"), [(-1,)], "in a read-write block")
    conn.rollback()
    return followers


def idle(c):
    """Nobody reads: nothing is closed."""
    before = [metric(c, "sherd_shard_closes_total", n) for n in (1, 2, 3)]
    time.sleep(2.5)
    check([metric(c, "sherd_shard_closes_total", n) for n in (1, 2, 3)], before, "timestamps closed while idle")


def leader_gone(c):
    """The leader is killed: reads five seconds behind go on without a gap, by the follower's own replica."""
    leader = c.shard_leader()
    node = next(n for n in (1, 2, 3) if n != leader)
    r = c.connect(node)
    query(r, "SET sherd.read_staleness = '5s'")
    query(r, "SET statement_timeout = '20s'")
    await_that(lambda: has_rows(r), "the table and its rows are older than the staleness")
    longest, count = 0.0, 0
    for step in range(2):
        if step == 1:
            c.kill(leader)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            begin = time.monotonic()
            check(query(r, "SELECT count(*) FROM pair"), [(2,)], "rows")
            longest = max(longest, time.monotonic() - begin)
            count += 1
    print(f"  {count} reads, the longest took {longest * 1000:.0f} ms")
    if longest > 0.5:
        raise RuntimeError(f"a stale read took {longest:.2f} s around the loss of the leader")
    w = c.connect_retry(node)
    query(w, "UPDATE pair SET v = 77")
    check(query(w, "SELECT DISTINCT v FROM pair"), [(77,)], "writes go on")


def too_old(_):
    """Beyond gc_ttl: 72000, never rows that are no longer all there. Before that, and from then on, right answers."""
    with Server(values={"storage.gc_ttl": "1s"}).start() as s:
        conn = s.connect()
        query(conn, "CREATE TABLE t (id int PRIMARY KEY, v int)")
        query(conn, "INSERT INTO t SELECT g, 0 FROM generate_series(1, 50) g")
        old = snapshot(conn)
        n, end, codes = 0, time.monotonic() + 40, []
        while not codes or codes[-1] != "72000":
            n += 1
            query(conn, "UPDATE t SET v = %s", (n,))
            query(conn, f"SET sherd.as_of = '{old}'")
            try:
                check(query(conn, "SELECT count(*), sum(v) FROM t"), [(50, 0)], "while the history is kept")
                codes.append(None)
            except psycopg2.Error as e:
                codes.append(e.pgcode)
                if e.pgcode == "72000" and "gc_ttl" not in (e.diag.message_hint or ""):
                    raise RuntimeError(f"no hint: {e}") from e
            query(conn, "RESET sherd.as_of")
            if set(codes) - {None, "72000"} or time.monotonic() > end:
                raise RuntimeError(f"reads of an old timestamp: {codes[-5:]}")
        # Old stays old, by every form and way of reading; what is younger can be read.
        for value in (old, "-1h"):
            for sql in ("SELECT count(*) FROM t", "SELECT v FROM t WHERE id = 7"):
                query(conn, f"SET sherd.as_of = '{value}'")
                # The table is younger than an hour, which is found first.
                expect("72000" if value == old else "0A000", lambda q=sql: query(conn, q))
        query(conn, "RESET sherd.as_of")
        now = snapshot(conn)
        query(conn, f"SET sherd.as_of = '{now}'")
        check(query(conn, "SELECT DISTINCT v FROM t"), [(n,)], "the present")
        # A transaction that was begun in time is not cut off while it reads.
        query(conn, "RESET sherd.as_of")
        tx = s.connect()
        query(tx, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        check(query(tx, "SELECT DISTINCT v FROM t"), [(n,)], "an open snapshot")
        gone = snapshot(conn)
        end = time.monotonic() + 40
        while True:
            n += 1
            query(conn, "UPDATE t SET v = %s", (n,))
            try:
                check(query(tx, "SELECT count(DISTINCT v) FROM t"), [(1,)], "an open snapshot")
            except psycopg2.Error as e:
                raise RuntimeError(f"an open transaction lost its history: {e}") from e
            if time.monotonic() > end - 36:
                break
        query(tx, "ROLLBACK")
        return gone


def main():
    too_old(None)
    print("too_old: ok", flush=True)
    with Cluster(3) as c:
        for test in (forms, staleness, idle, leader_gone):
            test(c)
            print(f"{test.__name__}: ok", flush=True)


if __name__ == "__main__":
    sys.exit(main())
