#!/usr/bin/python3
"""A transaction of several statements that meets a conflict is run again by the server when what the client has seen
stays true, and only else is refused (40001): over the simple and the extended flow, with savepoints, sequences, now(),
named portals, and after its shards' leader was killed."""
import socket
import struct
import sys
import urllib.request

import psycopg2

from cluster import Cluster, query

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
    e = expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    if "other data" not in (e.diag.message_detail or ""):
        pass  # the first conflict's own text is as good
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
    """setval() and COPY are not run twice."""
    other = fresh(c)
    conn = c.connect(autocommit=False)
    query(conn, "SELECT setval('s_id_seq', 1000), (SELECT count(*) FROM t)")
    query(other, "UPDATE t SET v = 0 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    conn.rollback()
    with conn.cursor() as cur:
        import io
        cur.copy_expert("COPY t FROM STDIN", io.StringIO("200\t1\n"))
    query(conn, "SELECT count(*) FROM t WHERE v > -5")
    query(other, "UPDATE t SET v = 0 WHERE id = 5")
    expect(SERIALIZATION_FAILURE, lambda: query(conn, "UPDATE t SET v = v + 1 WHERE id = 5"))
    conn.rollback()


class Wire:
    """Enough of the protocol for portals that are read in pieces."""

    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), 10)
        body = struct.pack(">I", 196608) + b"user\0sherd\0database\0sherd\0\0"
        self.s.sendall(struct.pack(">I", len(body) + 4) + body)
        self.until(b"Z")

    def send(self, *messages):
        self.s.sendall(b"".join(t + struct.pack(">I", len(b) + 4) + b for t, b in messages))

    def read(self, n):
        out = b""
        while len(out) < n:
            piece = self.s.recv(n - len(out))
            if not piece:
                raise RuntimeError("the connection was closed")
            out += piece
        return out

    def until(self, last):
        got = []
        while True:
            kind = self.read(1)
            body = self.read(struct.unpack(">I", self.read(4))[0] - 4)
            got.append((kind, body))
            if kind in last:
                return got

    def simple(self, sql):
        self.send((b"Q", sql.encode() + b"\0"))
        got = self.until(b"Z")
        errors = [b for k, b in got if k == b"E"]
        if errors:
            raise RuntimeError(f"{sql}: {errors[0]}")
        return got

    def fetch(self, portal, rows):
        """Column one of the rows, and whether more are there."""
        self.send((b"E", portal + b"\0" + struct.pack(">I", rows)), (b"H", b""))
        got = self.until((b"s", b"C", b"E"))
        if got[-1][0] == b"E":
            raise RuntimeError(f"fetch: {got[-1][1]}")
        values = []
        for kind, body in got:
            if kind == b"D":
                length = struct.unpack(">I", body[2:6])[0]
                values.append(int(body[6:6 + length]))
        return values, got[-1][0] == b"s"


def portals(c):
    other = fresh(c, 3000)
    w = Wire(c.port)
    w.simple("BEGIN")
    w.send((b"P", b"q\0SELECT id FROM t WHERE v > $1 ORDER BY id\0" + struct.pack(">H", 0)),
           (b"B", b"p\0q\0" + struct.pack(">HHI1sH", 0, 1, 1, b"0", 0)), (b"H", b""))
    w.until(b"2")
    check(w.fetch(b"p", 10), (list(range(1, 11)), True), "the first ten")
    query(other, "UPDATE t SET v = v + 1 WHERE id = 5")
    w.simple("UPDATE t SET v = v + 10 WHERE id = 5")
    check(w.fetch(b"p", 2000), (list(range(11, 2011)), True), "going on where it stood")
    query(other, "UPDATE t SET v = v + 1 WHERE id = 7")
    w.simple("UPDATE t SET v = v + 10 WHERE id = 7")
    check(w.fetch(b"p", 2000), (list(range(2011, 3001)), False), "to the end")
    w.simple("COMMIT")
    check(query(other, "SELECT v FROM t WHERE id IN (5, 7) ORDER BY id"), [(16,), (18,)], "all updates")
    w.s.close()


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


def main():
    with Cluster(1) as c:
        for test in (same_results, other_results, switched_off, savepoints, sequences, own_effects, portals):
            test(c)
            print(f"{test.__name__}: ok", flush=True)
    leader_lost()
    print("leader_lost: ok")


if __name__ == "__main__":
    sys.exit(main())
