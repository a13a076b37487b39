#!/usr/bin/python3
"""UPDATE and DELETE in the shards: what they answer, and a hot row under sixteen clients of three nodes at each level.

Each statement's answer is PostgreSQL's. The counters: as many as acknowledged, nobody starves, and 40001 reaches a client
only where PostgreSQL sends it too (REPEATABLE READ in a block).
"""
import threading
import time

import psycopg2

from cluster import Cluster, query

CLIENTS, SECONDS = 16, 1.2


def answer(cur, sql):
    try:
        cur.execute(sql)
        return cur.fetchall() if cur.description else cur.statusmessage
    except psycopg2.Error as e:
        return e.pgcode


def statements(conn):
    cur = conn.cursor()
    steps = [
        ("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL CHECK (v < 100), s varchar(5), "
         "g int GENERATED ALWAYS AS (v * 2) STORED)", "CREATE TABLE"),
        ("INSERT INTO t (id, v, s) VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')", "INSERT 0 3"),
        ("UPDATE t SET v = v + 1 WHERE id = 1", "UPDATE 1"),
        ("UPDATE t SET v = v + 1 WHERE id = 77", "UPDATE 0"),
        ("UPDATE t SET v = v + 1 WHERE id IN (1, 2, 77) RETURNING id, v, g, v + g", [(1, 3, 6, 9), (2, 3, 6, 9)]),
        ("UPDATE t SET v = NULL WHERE id = 1", "23502"),
        ("UPDATE t SET v = v + 1000 WHERE id > 0", "23514"),
        ("UPDATE t SET v = v / 0", "22012"),
        ("UPDATE t SET s = 'too long' WHERE id = 1", "22001"),
        ("UPDATE t SET v = v + 1 WHERE id = 1 RETURNING 1 / (v - v)", "22012"),
        ("UPDATE t SET v = (SELECT max(v) FROM t) + 1 WHERE id = 3 RETURNING v", [(4,)]),
        ("SELECT * FROM t ORDER BY id", [(1, 3, "a", 6), (2, 3, "b", 6), (3, 4, "c", 8)]),
        ("BEGIN", "BEGIN"),
        ("UPDATE t SET v = v + 1 WHERE id = 1", "UPDATE 1"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("UPDATE t SET v = v + 1 WHERE id = 1 RETURNING v", [(5,)]),
        ("UPDATE t SET v = 1000 WHERE id = 2", "23514"),
        ("ROLLBACK TO a", "ROLLBACK"),
        ("UPDATE t SET v = v + 1 WHERE id = 1 RETURNING v", [(5,)]),
        ("DELETE FROM t WHERE id = 2 RETURNING *", [(2, 3, "b", 6)]),
        ("COMMIT", "COMMIT"),
        ("SELECT * FROM t ORDER BY id", [(1, 5, "a", 10), (3, 4, "c", 8)]),
        ("BEGIN READ ONLY", "BEGIN"),
        ("UPDATE t SET v = 0 WHERE id = 1", "25006"),
        ("ROLLBACK", "ROLLBACK"),
        ("DELETE FROM t WHERE v > 4 RETURNING id", [(1,)]),
        ("DELETE FROM t", "DELETE 1"),
        ("CREATE TABLE many (id int PRIMARY KEY, x int, y int) WITH (sharding = 'hash', shards = 3)", "CREATE TABLE"),
        ("CREATE INDEX ON many (x)", "CREATE INDEX"),
        ("INSERT INTO many SELECT i, i, i FROM generate_series(1, 3000) i", "INSERT 0 3000"),
        ("UPDATE many SET y = y + 1", "UPDATE 3000"),
        ("UPDATE many SET y = y + 1 WHERE x BETWEEN 5 AND 6", "UPDATE 2"),
        ("UPDATE many SET x = 0 WHERE id = 5", "UPDATE 1"),
        ("SELECT id, y FROM many WHERE x IN (0, 6) ORDER BY id", [(5, 7), (6, 8)]),
        ("SELECT sum(y) FROM many", [(3000 * 3001 // 2 + 3002,)]),
        ("CREATE TABLE hot (id int PRIMARY KEY, v int)", "CREATE TABLE"),
        ("INSERT INTO hot VALUES (1, 0), (2, 0)", "INSERT 0 2"),
    ]
    for sql, want in steps:
        got = answer(cur, sql)
        assert got == want, f"{sql}: {got!r} instead of {want!r}"
    plan = "\n".join(r[0] for r in query(conn, "EXPLAIN UPDATE t SET v = v + 1 WHERE id = 1"))
    assert "In Shards: yes" in plan, plan
    plan = "\n".join(r[0] for r in query(conn, "EXPLAIN UPDATE many SET x = 1 WHERE id = 1"))
    assert "In Shards" not in plan, plan  # an index entry moves too


def hot_row(c, level, in_block):
    done, errors = [0] * CLIENTS, []
    start = threading.Barrier(CLIENTS)

    def client(i):
        conn = c.connect(1 + i % 3, autocommit=not in_block)
        conn.set_session(isolation_level=level)
        cur = conn.cursor()
        start.wait()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end or done[i] == 0 and time.monotonic() < end + 20:
            try:
                cur.execute("UPDATE hot SET v = v + 1 WHERE id = 1")
                if in_block:
                    cur.execute("UPDATE hot SET v = v + 1 WHERE id = 2")
                    conn.commit()
                done[i] += 1
            except psycopg2.Error as e:
                errors.append(e.pgcode)
                if in_block:
                    conn.rollback()
        conn.close()

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return done, errors


def main():
    with Cluster() as c:
        conn = c.connect(1)
        statements(conn)
        for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"):
            for in_block in (False, True):
                before = query(conn, "SELECT v FROM hot WHERE id = 1")[0][0]
                done, errors = hot_row(c, level, in_block)
                after = query(conn, "SELECT v FROM hot WHERE id = 1")[0][0]
                assert after - before == sum(done), f"{level}: {after - before} increments, {sum(done)} acknowledged"
                if level == "REPEATABLE READ" and in_block:
                    assert set(errors) <= {"40001"}, errors
                else:
                    assert not errors, f"{level}, block {in_block}: {errors[:5]}"
                    assert min(done) > 0, f"{level}, block {in_block}: a client starves: {done}"
                print(f"{level}{', block' if in_block else ''}: {sum(done)} increments, {min(done)}-{max(done)} a client, "
                      f"{len(errors)} x 40001")


if __name__ == "__main__":
    main()
