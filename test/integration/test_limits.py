#!/usr/bin/python3
"""Timeouts, cancels and limits reach what runs in the shards, and nothing is left of a transaction whose client, router
or session is gone: the gauges of open transactions, workspaces, locks and bytes go back to nothing."""
import os
import socket
import struct
import sys
import threading
import time

import grpc
import psycopg2

from cluster import Cluster, query
from server import Server
from test_replay import check, expect, metric
from wire import Lost, Wire, fields

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))
from sherd_grpc import Client  # noqa: E402

GAUGES = ("sherd_txn_open", "sherd_shard_workspaces", "sherd_shard_locks", "sherd_shard_workspace_bytes")
SQL = "/sherd.v1.Sql/"


def held(c, nodes=(1, 2, 3)):
    return {g: sum(metric(c, g, n) for n in nodes) for g in GAUGES}


def until_free(c, seconds, what, nodes=(1, 2, 3)):
    begin = time.monotonic()
    while any(held(c, nodes).values()):
        if time.monotonic() - begin > seconds:
            raise RuntimeError(f"{what}: after {seconds} s there are still {held(c, nodes)}")
        time.sleep(0.05)
    return time.monotonic() - begin


def until_held(c, nodes=(1, 2, 3)):
    end = time.monotonic() + 10
    while not all(held(c, nodes).values()):
        if time.monotonic() > end:
            raise RuntimeError(f"the gauges do not show the transaction: {held(c, nodes)}")
        time.sleep(0.05)


def table(c):
    conn = c.connect()
    query(conn, "DROP TABLE IF EXISTS t")
    query(conn, "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, s text)")
    query(conn, "INSERT INTO t SELECT i, i FROM generate_series(1, 100) i")
    return conn


def took(seconds, sqlstate, run):
    begin = time.monotonic()
    e = expect(sqlstate, run)
    spent = time.monotonic() - begin
    if spent > seconds:
        raise RuntimeError(f"{sqlstate} came after {spent:.1f} s only")
    return e


def statement_and_lock_timeouts(c):
    conn = table(c)
    holder, waiter = c.connect(autocommit=False), c.connect()
    query(holder, "UPDATE t SET v = 0 WHERE id = 1")
    query(waiter, "SET lock_timeout = '200ms'")
    took(2, "55P03", lambda: query(waiter, "UPDATE t SET v = 1 WHERE id = 1"))
    took(2, "55P03", lambda: query(waiter, "SELECT * FROM t WHERE id = 1 FOR SHARE"))
    query(waiter, "SET lock_timeout = 0")
    query(waiter, "SET statement_timeout = '200ms'")
    took(2, "57014", lambda: query(waiter, "UPDATE t SET v = 1 WHERE id = 1"))
    took(2, "57014", lambda: query(waiter, "SELECT count(*) FROM generate_series(1, 100000000)"))
    query(waiter, "SET statement_timeout = 0")
    timer = threading.Timer(0.2, waiter.cancel)
    timer.start()
    took(2, "57014", lambda: query(waiter, "UPDATE t SET v = 1 WHERE id = 1"))
    took(1, "55P03", lambda: query(waiter, "SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT"))
    holder.rollback()
    query(waiter, "UPDATE t SET v = 1 WHERE id = 1")
    until_free(c, 5, "after timeouts and cancels")
    conn.close()


def ended(port, setup, sqlstate, timeout):
    """The server ends the session that was silent since the setup by itself, with that FATAL error, when its time is
    over and not before. The setup is one message: on a slow machine the time between two would be silence too."""
    w = Wire(port, timeout=30)
    begin = time.monotonic()
    w.rows(setup)
    silent = time.monotonic()
    kind, body = w.message()
    f = fields(body)
    check((kind, f["S"], f["C"]), (b"E", "FATAL", sqlstate), "what a silent client is told")
    try:
        w.message()
        raise RuntimeError("the connection goes on")
    except Lost:
        pass
    end = time.monotonic()
    if end - begin < timeout or end - silent > timeout + 5:
        raise RuntimeError(f"{sqlstate} came {end - begin:.1f} s after the session's last message, {end - silent:.1f} s after the "
                           f"answer to it, and its timeout is {timeout} s")
    w.close()


def idle_timeouts(c):
    table(c)
    # What begins with the transaction leaves time for the UPDATE, which another error would end.
    write = "BEGIN; UPDATE t SET v = -1 WHERE id = 2"
    ended(c.port, "SET idle_session_timeout = '200ms'", "57P05", 0.2)
    ended(c.port, f"SET idle_in_transaction_session_timeout = '200ms'; {write}", "25P03", 0.2)
    ended(c.port, f"SET transaction_timeout = '1500ms'; {write}", "25P04", 1.5)
    ended(c.port, f"SET transaction_timeout = '1500ms'; SET idle_in_transaction_session_timeout = '1h'; {write}", "25P04", 1.5)
    conn = c.connect()
    query(conn, "SET transaction_timeout = '300ms'")
    took(2, "25P04", lambda: query(conn, "SELECT pg_sleep(10)"))
    query(conn, "SELECT 1")
    # Each transaction has its time, also in one string; nothing of it is statement_timeout's.
    begin = time.monotonic()
    took(2, "25P04", lambda: query(conn, "SELECT pg_sleep(0.2); COMMIT; SELECT pg_sleep(0.2); COMMIT; BEGIN; SELECT pg_sleep(10)"))
    if time.monotonic() - begin < 0.7:
        raise RuntimeError("the time of a transaction was counted from the one before it")
    conn.close()  # in a failed block, whose time is over: the server may be first
    conn = c.connect()
    check(query(conn, "SELECT v FROM t WHERE id = 2"), [(2,)], "what the ended sessions wrote")
    until_free(c, 5, "after idle timeouts")


def over_grpc(c):
    table(c)
    client = Client(f"127.0.0.1:{c.port + 1}")

    def session(**settings):
        return client.call(SQL + "OpenSession", user="sherd", database="sherd", settings=settings).session

    def run(s, sql, **kw):
        return list(client.call(SQL + "Execute", session=s, sql=sql, **kw))

    def fails(sqlstate, *args, **kw):
        try:
            run(*args, **kw)
        except grpc.RpcError as e:
            check(client.error_of(e).sqlstate, sqlstate, "over gRPC")
            return
        raise RuntimeError(f"{sqlstate} did not come over gRPC")

    a, b = session(), session(statement_timeout="200ms")
    run(a, "BEGIN; UPDATE t SET v = 0 WHERE id = 3")
    fails("57014", b, "UPDATE t SET v = 1 WHERE id = 3")
    run(b, "SET statement_timeout = 0; SET lock_timeout = '200ms'")
    fails("55P03", b, "UPDATE t SET v = 1 WHERE id = 3")
    run(b, "SET lock_timeout = 0")
    threading.Timer(0.3, lambda: client.call(SQL + "Cancel", session=b)).start()
    fails("57014", b, "UPDATE t SET v = 1 WHERE id = 3")
    client.call(SQL + "CloseSession", session=a)
    client.call(SQL + "CloseSession", session=b)
    until_free(c, 5, "after the sessions were closed")
    # A silent session with an open transaction ends by its timeout, and its locks with it.
    for setting in ("idle_in_transaction_session_timeout", "transaction_timeout"):
        s = session(**{setting: "3s"})
        run(s, "BEGIN; UPDATE t SET v = 0 WHERE id = 3")
        until_held(c)
        until_free(c, 10, f"after the {setting} of a gRPC session")
        fails("08003", s, "SELECT 1")
    # A transaction that is at work when its time is over; outside of one the idle timeout of transactions is none.
    s = session(transaction_timeout="400ms", idle_in_transaction_session_timeout="100ms")
    fails("25P04", s, "SELECT pg_sleep(10)")
    time.sleep(0.3)
    run(s, "SELECT 1")
    begin = time.monotonic()
    fails("25P04", s, "BEGIN; UPDATE t SET v = 0 WHERE id = 3; SELECT pg_sleep(10)")
    if time.monotonic() - begin > 3:
        raise RuntimeError("transaction_timeout over gRPC came late")
    until_free(c, 5, "after the transaction timeout of a gRPC session")
    s = session(idle_session_timeout="200ms")
    run(s, "SELECT 1")
    end = time.monotonic() + 5
    while True:
        time.sleep(0.4)  # a call would end its silence
        try:
            run(s, "SELECT 1")
        except grpc.RpcError as e:
            check(client.error_of(e).sqlstate, "08003", "after idle_session_timeout")
            break
        if time.monotonic() > end:
            raise RuntimeError("idle_session_timeout does not end a gRPC session")
    check(query(c.connect(), "SELECT v FROM t WHERE id = 3"), [(3,)], "what the ended sessions wrote")


def bounds(c):
    conn = table(c)
    tx = c.connect(autocommit=False)

    def fill():
        for i in range(1000, 1400):
            query(tx, f"INSERT INTO t VALUES ({i}, 0, repeat('x', 6000000))")

    e = expect("54000", fill)
    if "MB" not in e.diag.message_primary or not e.diag.message_hint:
        raise RuntimeError(f"the limit of the workspace is told as {e.diag.message_primary!r}, {e.diag.message_hint!r}")
    tx.rollback()
    check(query(conn, "SELECT count(*) FROM t"), [(100,)], "rows")
    until_free(c, 10, "after a transaction beyond its bounds")


def locks(_):
    """Locks of one transaction in a shard: of rows written, and of rows only locked."""
    with Server(values={"sql.transaction_locks": 1000}).start() as s:
        conn = s.connect()
        query(conn, "CREATE TABLE t (id int PRIMARY KEY, v int)")
        for i in range(4):
            query(conn, f"INSERT INTO t SELECT g, 0 FROM generate_series({i * 500}, {i * 500 + 499}) g")
        for sql in ("UPDATE t SET v = 1", "SELECT * FROM t FOR UPDATE", "SELECT * FROM t FOR SHARE", "DELETE FROM t",
                    "INSERT INTO t SELECT g, 0 FROM generate_series(10000, 12000) g"):
            e = expect("53200", lambda q=sql: query(conn, q))
            if "1000 locks" not in e.diag.message_primary or "sql.transaction_locks" not in e.diag.message_hint:
                raise RuntimeError(f"{sql}: {e}")
            check(s.metric("sherd_shard_locks"), 0, f"locks after {sql}")
        # In a block, one more than allowed; ROLLBACK TO gives back what came after the savepoint.
        query(conn, "BEGIN")
        query(conn, "UPDATE t SET v = 2 WHERE id < 600")
        query(conn, "SAVEPOINT a")
        expect("53200", lambda: query(conn, "UPDATE t SET v = 2 WHERE id >= 600"))
        query(conn, "ROLLBACK TO a")
        query(conn, "UPDATE t SET v = 2 WHERE id BETWEEN 600 AND 999")
        query(conn, "COMMIT")
        check(query(conn, "SELECT sum(v), count(*) FROM t"), [(2000, 2000)], "rows")
        check(s.metric("sherd_shard_locks"), 0, "locks")


def client_lost(c):
    """Connections that are reset in the middle of a transaction, and in the middle of a wait."""
    table(c)
    w = Wire(c.port)
    for sql in ("BEGIN", "UPDATE t SET v = 0 WHERE id < 50", "SELECT sum(v) FROM t"):
        w.rows(sql)
    waiting = Wire(c.sql_port(2))
    waiting.send((b"Q", b"BEGIN; UPDATE t SET v = 1 WHERE id = 60; UPDATE t SET v = 1 WHERE id = 1\0"))
    until_held(c)
    for x in (waiting, w):
        x.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        x.close()
    until_free(c, 5, "after the clients were gone")
    check(query(c.connect(3), "SELECT sum(v) FROM t"), [(5050,)], "nothing of them is there")


def router_lost(c):
    """The node of the router is killed: who waits for its locks waits seconds, not for ever; then all is free."""
    leader = c.shard_leader()
    node = next(n for n in (1, 2, 3) if n != leader)
    rest = [n for n in (1, 2, 3) if n != node]
    tx = c.connect(node, autocommit=False)
    query(tx, "UPDATE t SET v = 0 WHERE id < 50")
    until_held(c)
    c.kill(node)
    begin = time.monotonic()
    other = c.connect(leader)
    query(other, "SET statement_timeout = '40s'")
    query(other, "UPDATE t SET v = v + 1 WHERE id = 1")
    waited = time.monotonic() - begin
    until_free(c, 5, "after the router's death", rest)
    check(query(other, "SELECT sum(v) FROM t"), [(5051,)], "nothing of it is there")
    print(f"  its locks were free after {waited:.1f} s")
    if waited > 20:
        raise RuntimeError(f"the locks of a dead router were kept for {waited:.0f} s")
    c.start(node)
    c.connect_retry(node).close()


def main():
    with Cluster(3) as c:
        for test in (statement_and_lock_timeouts, idle_timeouts, over_grpc, bounds, locks, client_lost, router_lost):
            begin = time.monotonic()
            test(c)
            print(f"{test.__name__}: ok, {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
