#!/usr/bin/python3
"""A transaction of several statements that meets a conflict is run again by the server when what the client has seen
stays true, and only else is refused (40001): over the simple and the extended flow, with savepoints, sequences, now(),
named portals, and after its shards' leader was killed."""
import concurrent.futures
import os
import struct
import sys
import urllib.request

import grpc
import psycopg2

from cluster import Cluster, query
from wire import Wire

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))
from sherd_grpc import Client  # noqa: E402

SQL = "/sherd.v1.Sql/"
SERIALIZATION_FAILURE = "40001"


def metric(c, name, node=1):
    with urllib.request.urlopen(f"http://127.0.0.1:{c.sql_port(node) + 3}/metrics", timeout=10) as r:
        lines = r.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def fresh(c, rows=8):
    conn = c.connect()
    query(conn, "DROP TABLE IF EXISTS t")
    query(conn, "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)")
    query(conn, f"INSERT INTO t SELECT i, i FROM generate_series(1, {rows}) i")
    return conn


def expect(sqlstate, run):
    try:
        run()
    except psycopg2.Error as e:
        if e.pgcode != sqlstate:
            raise RuntimeError(f"{e.pgcode} instead of {sqlstate}: {e}") from e
        return e
    raise RuntimeError(f"{sqlstate} did not come")


def check(got, wanted, what):
    if got != wanted:
        raise RuntimeError(f"{what}: {got}, not {wanted}")


def same_results(c):
    """What was read has changed, but not what was sent of it: the client sees no conflict."""
    other = fresh(c)
    before = metric(c, "sherd_txn_replays_total")
    conn = c.connect(autocommit=False)
    check(query(conn, "SELECT count(*) FROM t WHERE v > 0"), [(8,)], "count")
    when = query(conn, "SELECT now(), statement_timestamp() > now()")
    query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
    query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
    check(query(conn, "SELECT now(), true"), when, "now() in the transaction")
    conn.commit()
    check(query(other, "SELECT v FROM t WHERE id = 5"), [(106,)], "both updates")
    # At the commit itself: a read of a row that another has changed since.
    check(query(conn, "SELECT v > 0 FROM t WHERE id = 1"), [(True,)], "v > 0")
    query(conn, "UPDATE t SET v = 0 WHERE id = 2")
    query(other, "UPDATE t SET v = 50 WHERE id = 1")
    conn.commit()
    check(metric(c, "sherd_txn_replays_total") - before, 2.0, "replays")


def other_results(c):
    other = fresh(c)
    failed = metric(c, "sherd_txn_replays_failed_total")
    conn = c.connect(autocommit=False)
    check(query(conn, "SELECT sum(v) FROM t"), [(36,)], "sum")
    query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    expect("25P02", lambda: query(conn, "SELECT 1"))
    conn.rollback()
    check(query(other, "SELECT v FROM t WHERE id = 5"), [(105,)], "one update")
    check(metric(c, "sherd_txn_replays_failed_total") - failed, 1.0, "failed replays")
    # Write skew, seen by both: one of them has to hear of it.
    a, b = c.connect(autocommit=False), c.connect(autocommit=False)
    query(a, "SELECT sum(v) FROM t WHERE id < 3")
    query(b, "SELECT sum(v) FROM t WHERE id < 3")
    query(a, "UPDATE t SET v = v - 1 WHERE id = 1")
    query(b, "UPDATE t SET v = v - 1 WHERE id = 2")
    a.commit()
    expect(SERIALIZATION_FAILURE, b.commit)


def switched_off(c):
    other = fresh(c)
    conn = c.connect(autocommit=False)
    query(conn, "SET sherd.auto_retry = off")
    conn.commit()
    query(conn, "SELECT count(*) FROM t WHERE v > 0")
    query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    conn.rollback()


def savepoints(c):
    other = fresh(c)
    conn = c.connect(autocommit=False)
    query(conn, "SELECT count(*) FROM t")
    query(conn, "SAVEPOINT a")
    query(conn, "INSERT INTO t VALUES (100, 1)")
    query(conn, "SAVEPOINT b")
    expect("23505", lambda: query(conn, "INSERT INTO t VALUES (1, 1)"))
    query(conn, "ROLLBACK TO b")
    query(conn, "UPDATE t SET v = -1 WHERE id = 1")
    query(conn, "ROLLBACK TO a")
    query(conn, "INSERT INTO t VALUES (101, 1)")
    query(conn, "RELEASE a")
    query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
    query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
    conn.commit()
    check(query(other, "SELECT id, v FROM t WHERE id IN (1, 5, 100, 101) ORDER BY id"), [(1, 1), (5, 106), (101, 1)], "savepoints")
    # The conflict comes while a savepoint could be returned to, and the replay differs: nothing is left to return to.
    query(conn, "SELECT sum(v) FROM t")
    query(conn, "SAVEPOINT a")
    query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = 7 WHERE id = 5"))
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "ROLLBACK TO a"))
    conn.rollback()


def sequences(c):
    other = fresh(c)
    query(other, "DROP TABLE IF EXISTS s")
    query(other, "CREATE TABLE s (id serial PRIMARY KEY, v int)")
    conn = c.connect(autocommit=False)
    first = query(conn, "INSERT INTO s (v) VALUES (1), (2) RETURNING id")
    check(query(conn, "SELECT currval('s_id_seq')"), [first[-1]], "currval")
    query(conn, "SELECT count(*) FROM t")
    query(other, "INSERT INTO s (v) VALUES (3)")
    query(other, "UPDATE t SET v = 0 WHERE id = 5")
    query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
    check(query(conn, "SELECT id FROM s WHERE v < 3 ORDER BY id"), first, "the same values again")
    conn.commit()
    check(query(other, "SELECT count(*), count(DISTINCT id) FROM s"), [(3, 3)], "distinct")
    # What was sent of a volatile function cannot come again.
    query(conn, "SELECT random(), (SELECT count(*) FROM t)")
    query(other, "UPDATE t SET v = 0 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    conn.rollback()


def own_effects(c):
    """setval() is not run twice."""
    other = fresh(c)
    conn = c.connect(autocommit=False)
    query(conn, "SELECT setval('s_id_seq', 1000), (SELECT count(*) FROM t)")
    query(other, "UPDATE t SET v = 0 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    conn.rollback()


class Lines:
    """What COPY reads: `count` rows of (number, 1); before the row `at` something else happens."""

    def __init__(self, first, count, at=None, event=None, pad=0):
        self.next, self.end = first, first + count
        self.at, self.event, self.pad = at, event, "0" * pad

    def read(self, _):
        if self.next == self.end:
            return ""
        if self.next == self.at:
            self.event()
        piece = "".join(f"{i}\t{self.pad}1\n" for i in range(self.next, min(self.next + 1000, self.end)))
        self.next = min(self.next + 1000, self.end)
        return piece


def copies(c):
    """COPY FROM is run again with the data that was kept, and then only."""
    other = fresh(c)
    conn = c.connect(autocommit=False)

    def copy(lines):
        with conn.cursor() as cur:
            cur.copy_expert("COPY t FROM STDIN", lines)
            return cur.rowcount

    def touch():
        query(other, "UPDATE t SET v = v + 1 WHERE id = 5")

    # Between the COPY and its commit.
    check(copy(Lines(1000, 3000)), 3000, "rows of COPY")
    check(query(conn, "SELECT count(*) FROM t WHERE v > -5"), [(3008,)], "rows with own ones")
    touch()
    query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
    conn.commit()
    # While it runs.
    query(conn, "SELECT count(*) FROM t WHERE v > -5")
    check(copy(Lines(5000, 3000, 6000, touch)), 3000, "rows of COPY")
    query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
    conn.commit()
    # An error of it that was told and rolled back comes again.
    query(conn, "SELECT count(*) FROM t WHERE v > -5")
    query(conn, "SAVEPOINT a")
    expect("23505", lambda: copy(Lines(7999, 2)))
    query(conn, "ROLLBACK TO a")
    touch()
    query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
    conn.commit()
    check(query(other, "SELECT count(*), sum(v) FROM t"), [(6008, 6036 + 6)], "all")
    # More than is kept (sql.statement_mb).
    query(conn, "SELECT count(*) FROM t WHERE v > -5")
    copy(Lines(100000, 20000, pad=1000))
    touch()
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    conn.rollback()
    check(query(other, "SELECT count(*) FROM t"), [(6008,)], "none of the refused")


def ids(first, last):
    return [(str(i),) for i in range(first, last + 1)]


def portals(c):
    other = fresh(c, 3000)
    w = Wire(c.port)
    w.rows("BEGIN")
    w.send((b"P", b"q\0SELECT id FROM t WHERE v > $1 ORDER BY id\0" + struct.pack(">H", 0)),
           (b"B", b"p\0q\0" + struct.pack(">HHI1sH", 0, 1, 1, b"0", 0)), (b"H", b""))
    w.until(b"2")
    check(w.fetch(b"p", 10), (ids(1, 10), True), "the first ten")
    query(other, "UPDATE t SET v = v + 1 WHERE id = 5")
    w.rows("UPDATE t SET v = v + 10 WHERE id = 5")
    check(w.fetch(b"p", 2000), (ids(11, 2010), True), "going on where it stood")
    query(other, "UPDATE t SET v = v + 1 WHERE id = 7")
    w.rows("UPDATE t SET v = v + 10 WHERE id = 7")
    check(w.fetch(b"p", 2000), (ids(2011, 3000), False), "to the end")
    w.rows("COMMIT")
    check(query(other, "SELECT v FROM t WHERE id IN (5, 7) ORDER BY id"), [(16,), (18,)], "all updates")
    w.close()


def cursors(c):
    """psycopg2's named cursors: DECLARE and FETCH."""
    other = fresh(c, 3000)
    conn = c.connect(autocommit=False)
    cur = conn.cursor("c")
    cur.itersize = 100
    cur.execute("SELECT id FROM t WHERE v > 0 ORDER BY id")
    got = [next(cur)[0] for _ in range(150)]
    query(other, "UPDATE t SET v = v + 1 WHERE id = 5")
    query(conn, "UPDATE t SET v = v + 10 WHERE id = 5")
    got += [r[0] for r in cur]
    check(got, list(range(1, 3001)), "rows of the cursor")
    cur.close()
    half = conn.cursor("h")
    half.execute("SELECT id FROM t ORDER BY id")
    check(half.fetchmany(2), [(1,), (2,)], "two rows")
    half.close()
    query(other, "UPDATE t SET v = v + 1 WHERE id = 1")
    query(conn, "UPDATE t SET v = v + 10 WHERE id = 1")
    conn.commit()
    check(query(other, "SELECT v FROM t WHERE id IN (1, 5) ORDER BY id"), [(12,), (16,)], "all updates")
    # READ COMMITTED: a cursor keeps its snapshot while other statements take theirs.
    query(conn, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    cur = conn.cursor("c")
    cur.itersize = 1000
    cur.execute("SELECT id FROM t WHERE v < 100000 ORDER BY id")
    check(next(cur), (1,), "first")
    query(other, "UPDATE t SET v = 100000 WHERE id > 2000")
    check(query(conn, "SELECT count(*) FROM t WHERE v = 100000"), [(1000,)], "a statement sees the new rows")
    check(len(list(cur)), 2999, "the cursor does not")
    conn.rollback()


def over_grpc(c):
    """The same for gRPC sessions: a conflict that what was sent does not show is run again, another is told."""
    other = fresh(c)
    client = Client(f"127.0.0.1:{c.port + 1}")
    session = client.call(SQL + "OpenSession", user="sherd", database="sherd").session
    before = metric(c, "sherd_txn_replays_total"), metric(c, "sherd_txn_replays_failed_total")

    def run(sql, **kw):
        """Values of the rows, as text."""
        out = []
        for reply in client.call(SQL + "Execute", session=session, sql=sql, **kw):
            out += [tuple(v.text for v in r.values) for r in reply.rows]
        return out

    run("BEGIN")
    check(run("SELECT count(*) FROM t WHERE v > 0"), [("8",)], "count")
    run("SAVEPOINT a; INSERT INTO t VALUES (100, 1); ROLLBACK TO a")
    query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
    run("UPDATE t SET v = v + 1 WHERE id = $1", params=[{"text": "5"}])
    run("COMMIT")
    check(query(other, "SELECT v FROM t WHERE id IN (5, 100)"), [(106,)], "both updates, no row undone")
    check(metric(c, "sherd_txn_replays_total") - before[0], 1.0, "replays")
    # At the commit.
    run("BEGIN")
    check(run("SELECT v > 0 FROM t WHERE id = 1"), [("t",)], "v > 0")
    run("UPDATE t SET v = 0 WHERE id = 2")
    query(other, "UPDATE t SET v = 50 WHERE id = 1")
    run("COMMIT")
    check(metric(c, "sherd_txn_replays_total") - before[0], 2.0, "replays")
    # What was sent comes out different; and switched off.
    for setting in ("on", "off"):
        run(f"SET sherd.auto_retry = {setting}")
        run("BEGIN")
        run("SELECT sum(v) FROM t")
        query(other, "UPDATE t SET v = v + 100 WHERE id = 5")
        try:
            run("UPDATE t SET v = v + 1 WHERE id = 5")
            raise RuntimeError("no conflict over gRPC")
        except grpc.RpcError as e:
            check(client.error_of(e).sqlstate, SERIALIZATION_FAILURE, "over gRPC")
        run("ROLLBACK")
    check(metric(c, "sherd_txn_replays_failed_total") - before[1], 1.0, "failed replays")
    check(query(other, "SELECT v FROM t WHERE id = 5"), [(306,)], "no update of the refused")
    client.close()


def locked_rows(c):
    """READ COMMITTED: a row that gets another key while the statement waits for it, some pages behind the first. Nothing has
    been sent by then, so the statement alone runs again; with more rows than are kept, the block is run again."""
    for columns, replays in (("id", 0.0), ("id, repeat('x', 1000)", 1.0)):
        other = fresh(c, 3000)
        before = metric(c, "sherd_txn_replays_total"), metric(c, "sherd_txn_retries_total")
        mover, conn = c.connect(autocommit=False), c.connect(autocommit=False)
        query(mover, "UPDATE t SET id = 5000 WHERE id = 2500")
        query(conn, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        query(conn, "UPDATE t SET v = v + 1 WHERE id = 1")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            got = pool.submit(query, conn, f"SELECT {columns} FROM t FOR UPDATE")
            while not query(other, "SELECT 1 FROM sherd_lock_waits"):
                if got.done():
                    raise RuntimeError(f"it has not waited: {got.exception()}")
            mover.commit()
            check([r[0] for r in got.result(60)], [i for i in range(1, 3001) if i != 2500] + [5000], "locked rows")
        conn.commit()
        check(query(other, "SELECT v FROM t WHERE id = 1"), [(2,)], "the block's first statement")
        check(metric(c, "sherd_txn_replays_total") - before[0], replays, "replays")
        if replays == 0 and metric(c, "sherd_txn_retries_total") == before[1]:
            raise RuntimeError("the statement was not run again")


def leader_lost():
    """The workspace dies with the leader's term; the transaction goes on with the next leader."""
    with Cluster(3) as c:
        other = fresh(c)
        shard = 2
        leader = c.shard_leader(shard)
        node = next(n for n in (1, 2, 3) if n != leader)
        conn = c.connect(node, autocommit=False)
        check(query(conn, "SELECT sum(v) FROM t"), [(36,)], "sum")
        query(conn, "UPDATE t SET v = v + 1 WHERE id = 5")
        query(conn, "SAVEPOINT a")
        query(conn, "INSERT INTO t VALUES (100, 100)")
        c.kill(leader)
        check(query(conn, "SELECT sum(v) FROM t"), [(137,)], "own writes after the loss")
        query(conn, "ROLLBACK TO a")
        conn.commit()
        check(query(conn, "SELECT sum(v) FROM t"), [(37,)], "committed")
        conn.commit()
        if metric(c, "sherd_txn_replays_total", node) < 1:
            raise RuntimeError("nothing was replayed")
        other.close()


def snapshot_kept():
    """Below SERIALIZABLE what is lost with a leader is run again in the snapshots that it had, at the commit and at a
    statement; in a new one where others have changed meanwhile what it had locked."""
    with Cluster(3) as c:
        fresh(c).close()
        leader = c.shard_leader(2)
        node = next(n for n in (1, 2, 3) if n != leader)
        other = c.connect(node)

        def block(*statements, level="REPEATABLE READ"):
            conn = c.connect(node, autocommit=False)
            query(conn, f"SET TRANSACTION ISOLATION LEVEL {level}")
            for sql in statements:
                query(conn, sql)
            return conn

        def copy_of(row):
            return f"INSERT INTO t SELECT id + 100, v FROM t WHERE id = {row}"

        at_commit, at_statement = block(copy_of(1)), block(copy_of(2))
        locked, mixed = block("UPDATE t SET v = v + 10 WHERE id = 3"), block(copy_of(4), "UPDATE t SET v = v + 10 WHERE id = 5")
        # READ COMMITTED: the first statement that writes has its own snapshot again; what comes after it, a new one.
        rc, rc_moved = block(copy_of(6), level="READ COMMITTED"), block(copy_of(8), level="READ COMMITTED")
        query(other, "UPDATE t SET v = v + 50 WHERE id IN (1, 2, 4, 6, 8)")
        for sql in ("INSERT INTO t SELECT id + 200, v FROM t WHERE id = 6", "UPDATE t SET v = v + 10 WHERE id = 7"):
            query(rc, sql)
        query(rc_moved, "UPDATE t SET v = v + 10 WHERE id = 208 OR v = 58")
        c.kill(leader)
        query(other, "UPDATE t SET v = v + 50 WHERE id IN (6, 7)")
        query(other, "UPDATE t SET id = 208 WHERE id = 8")
        query(other, "UPDATE t SET v = v + 50 WHERE id IN (3, 5)")
        at_commit.commit()
        check(query(at_statement, "SELECT id, v FROM t WHERE id IN (2, 101, 102) ORDER BY id"), [(2, 2), (102, 2)], "the old snapshot")
        at_statement.commit()
        locked.commit()
        mixed.commit()
        rc.commit()
        check(query(rc_moved, "SELECT id FROM t WHERE v = 68"), [(208,)], "a row that has got another key")
        rc_moved.commit()
        check(query(other, "SELECT id, v FROM t WHERE id IN (3, 5, 7) OR id > 100 ORDER BY id"),
              [(3, 63), (5, 65), (7, 67), (101, 1), (102, 2), (104, 54), (106, 6), (108, 8), (206, 106), (208, 68)],
              "old and new snapshots")
        check(metric(c, "sherd_txn_replays_total", node), 6.0, "replays")


def leader_lost_in_copy():
    """COPY by itself: it is read again from what the router has kept."""
    with Cluster(3) as c:
        fresh(c).close()
        leader = c.shard_leader(2)
        conn = c.connect(next(n for n in (1, 2, 3) if n != leader))
        with conn.cursor() as cur:
            cur.copy_expert("COPY t FROM STDIN", Lines(1000, 5000, 4000, lambda: c.kill(leader)))
            check(cur.rowcount, 5000, "rows of COPY")
        check(query(conn, "SELECT count(*) FROM t"), [(5008,)], "rows")


def main():
    with Cluster(1) as c:
        for test in (same_results, other_results, switched_off, savepoints, sequences, own_effects, copies, portals, cursors, locked_rows, over_grpc):
            test(c)
            print(f"{test.__name__}: ok", flush=True)
    for test in (leader_lost, snapshot_kept, leader_lost_in_copy):
        test()
        print(f"{test.__name__}: ok", flush=True)


if __name__ == "__main__":
    sys.exit(main())
