#!/usr/bin/python3
"""Schema changes as part of transactions, and schema changes whose server dies at any of their steps.

usage: test_schema.py [--only NAME]     (SHERD_BIN names the directory of the binaries)
"""
import argparse
import io
import os
import signal
import sys
import threading
import time

import psycopg2

from cluster import Cluster, query
from server import metric

failures = []
# 200 ms to find it, and what a busy machine needs to tell it.
DEADLOCK_SECONDS = 2


def check(what, is_ok, detail=""):
    if not is_ok:
        failures.append(what)
        print(f"FAILED: {what} {detail}", flush=True)


def state_of(fn):
    """SQLSTATE that fn ends with; None: no error."""
    try:
        fn()
        return None
    except psycopg2.Error as e:
        return e.pgcode or "lost"


def wait_for(what, fn, seconds=40):
    end = time.monotonic() + seconds
    while not fn():
        if time.monotonic() > end:
            check(what, False, "did not happen in time")
            return False
        time.sleep(0.02)
    return True


def waits(conn):
    """Who waits for a schema change, in all routers."""
    return query(conn, "SELECT count(*) FROM sherd_lock_waits WHERE shard_id IS NULL")[0][0]


def copy(conn, sql, data=""):
    out = io.StringIO(data) if "FROM" in sql else io.StringIO()
    with conn.cursor() as cur:
        cur.copy_expert(sql, out)
    return out.getvalue()


def index_equals_table(conn, table, column, where="true"):
    """Rows by the index on the column are the rows of the table."""
    by_table = query(conn, f"SELECT count(*), sum({column}) FROM {table} WHERE {where}")
    by_index = query(conn, f"SELECT count(*), sum({column}) FROM {table} WHERE {column} >= 0 AND {where}")
    return by_table == by_index, (by_table, by_index)


def atomic(c):
    """All or nothing, seen by others only after the commit, by this transaction at once."""
    a, b = c.connect(1), c.connect(2)
    query(a, "CREATE TABLE base (id int PRIMARY KEY, v int)")
    query(a, "INSERT INTO base SELECT g, g FROM generate_series(1, 100) g")
    query(a, "CREATE TABLE other (id int PRIMARY KEY, v int)")
    query(a, "INSERT INTO other VALUES (1, 0)")
    query(b, "BEGIN")
    query(b, "UPDATE other SET v = v + 1 WHERE id = 1")
    for end in ("ROLLBACK", "COMMIT"):
        query(a, "BEGIN")
        query(a, "CREATE TABLE made (id serial PRIMARY KEY, base_id int REFERENCES base, n int)")
        query(a, "INSERT INTO made (base_id, n) SELECT id, v FROM base WHERE id <= 10")
        query(a, "CREATE INDEX made_n ON made (n)")
        query(a, "ALTER TABLE base ADD COLUMN w int DEFAULT 5")
        query(a, "UPDATE base SET w = 6 WHERE id = 1")
        query(a, "CREATE VIEW seen AS SELECT w FROM base")
        query(a, "CREATE SEQUENCE numbers START 10")
        check("own sequence", query(a, "SELECT nextval('numbers')") == [(10,)])
        query(a, "SAVEPOINT s")
        query(a, "DROP TABLE made")
        check("own drop", state_of(lambda: query(a, "SELECT 1 FROM made")) == "42P01")
        query(a, "ROLLBACK TO s")
        check("own rows", query(a, "SELECT count(*), max(id) FROM made WHERE n <= 10") == [(10, 10)])
        check("own view", query(a, "SELECT sum(w) FROM seen") == [(501,)])
        check("others see no table", state_of(lambda: query(c.connect(2), "SELECT 1 FROM made")) == "42P01")
        check("others go on with other tables", query(c.connect(2), "SELECT v FROM other") == [(0,)])
        query(a, end)
        n = None if end == "ROLLBACK" else [(10,)]
        if n is None:
            check("rolled back", state_of(lambda: query(c.connect(2), "SELECT 1 FROM made")) == "42P01")
            check("column rolled back", state_of(lambda: query(c.connect(2), "SELECT w FROM base")) == "42703")
            check("sequence rolled back", state_of(lambda: query(a, "SELECT nextval('numbers')")) == "42P01")
        else:
            d = c.connect(3)
            check("committed", query(d, "SELECT count(*) FROM made WHERE n < 100") == n)
            check("column committed", query(d, "SELECT sum(w) FROM base") == [(501,)])
            check("sequence committed", query(d, "SELECT nextval('numbers')") == [(11,)])
            check("serial committed", query(d, "INSERT INTO made (n) VALUES (0) RETURNING id") == [(11,)])
    check("a transaction on another table is not aborted", state_of(lambda: query(b, "COMMIT")) is None)
    check("its row", query(a, "SELECT v FROM other") == [(1,)])
    # One transaction of a simple query of several statements.
    check("division", state_of(lambda: query(a, "CREATE TABLE gone (x int); INSERT INTO gone VALUES (1); SELECT 1 / 0"))
          == "22012")
    check("nothing of it", state_of(lambda: query(a, "SELECT 1 FROM gone")) == "42P01")
    for statement in ("CREATE DATABASE x", "VACUUM", "CREATE INDEX CONCURRENTLY i ON base (v)", "DROP DATABASE x"):
        query(a, "BEGIN")
        check(f"{statement} in a block", state_of(lambda s=statement: query(a, s)) == "25001")
        query(a, "ROLLBACK")
    wait_for("no job is left", lambda: query(a, "SELECT count(*) FROM pg_catalog.sherd_jobs WHERE kind = 'schema'") == [(0,)])


def large(c):
    """A restore in one transaction: more rows in new tables than could be prepared; and its end in between."""
    a = c.connect(1)

    def restore(end):
        query(a, "BEGIN")
        query(a, "CREATE TABLE big (id int, n int, pad text)")
        query(a, "INSERT INTO big SELECT g, g, repeat('x', 8000) FROM generate_series(1, 2200) g")
        query(a, "ALTER TABLE big ADD PRIMARY KEY (id)")
        query(a, "CREATE INDEX big_n ON big (n)")
        query(a, end)
    for end in ("ROLLBACK", "COMMIT"):
        for tries in range(6):  # a leader may be lost on a loaded machine: the client runs it again
            state = state_of(lambda: restore(end))
            if state is None:
                break
            query(a, "ROLLBACK")
            check("a restore", state == "40001" and tries < 5, state)
    check("large", query(a, "SELECT count(*), sum(id) FROM big") == [(2200, 2421100)])
    check("by index", query(a, "SELECT count(*) FROM big WHERE n > 0") == [(2200,)])
    query(a, "DROP TABLE big")


def locked(c):
    """Who uses a table that another transaction changes waits for its end; so does who changes it."""
    a, b = c.connect(1), c.connect(2)
    query(a, "CREATE TABLE busy (id int PRIMARY KEY, v int)")
    query(a, "INSERT INTO busy SELECT g, 0 FROM generate_series(1, 50) g")
    for end, columns in (("ROLLBACK", 2), ("COMMIT", 3)):
        prepared = c.connect(2)
        query(prepared, "PREPARE r AS SELECT v FROM busy WHERE id = $1")
        query(prepared, "EXECUTE r (1)")
        query(a, "BEGIN")
        query(a, "ALTER TABLE busy ADD COLUMN w int")
        done = {}

        def run(name, sql, node):
            conn = c.connect(node) if node else prepared
            try:
                done[name] = (query(conn, sql), time.monotonic())
            except psycopg2.Error as e:
                done[name] = (e.pgcode, time.monotonic())
        threads = [threading.Thread(target=run, args=x) for x in (
            ("read", "SELECT * FROM busy WHERE id = 1", 2), ("prepared", "EXECUTE r (3)", None), ("write", "UPDATE busy SET v = v + 1 WHERE id = 2", 3),
            ("change", "ALTER TABLE busy ADD COLUMN x" + end.lower() + " int", 3))]
        for t in threads:
            t.start()
        wait_for("others wait", lambda: done or waits(b) == 4)
        check("others wait", not done, str(done))
        at = time.monotonic()
        query(a, end)
        for t in threads:
            t.join(30)
        check("they go on", len(done) == 4 and all(d[1] >= at for d in done.values()), str(done))
        row = done["read"][0]
        check(f"the reader sees the columns after {end}", isinstance(row, list) and len(row[0]) in (columns, columns + 1),
              str(row))
        check("the prepared statement goes on", done["prepared"][0] == [(0,)], str(done["prepared"]))
        check("the writer wrote", done["write"][0] is None, str(done["write"]))
        check("the change was made", done["change"][0] is None, str(done["change"]))
        query(a, "ALTER TABLE busy DROP COLUMN x" + end.lower())
    query(a, "BEGIN")
    query(a, "ALTER TABLE busy ADD COLUMN y int")
    query(b, "SET lock_timeout = '300ms'")
    for sql in ("ALTER TABLE busy ADD COLUMN z int", "SELECT * FROM busy", "UPDATE busy SET v = 0"):
        check(f"lock_timeout of {sql}", state_of(lambda s=sql: query(b, s)) == "55P03")
    query(b, "SET sherd.auto_retry = off")
    for sql in ("TRUNCATE busy", "SELECT * FROM busy"):
        check(f"lock_timeout of {sql}", state_of(lambda s=sql: query(b, s)) == "55P03")
    for sql in ("COPY busy TO STDOUT", "COPY busy (id) FROM STDIN"):
        check(f"lock_timeout of {sql}", state_of(lambda s=sql: copy(b, s, "900\n")) == "55P03")
    query(b, "SET lock_timeout = 0")
    done = {}
    t = threading.Thread(target=lambda: done.update(rows=copy(b, "COPY busy (id) FROM STDIN", "900\n901\n")))
    t.start()
    wait_for("COPY waits", lambda: waits(a) == 1)
    query(a, "COMMIT")
    t.join(30)
    check("COPY goes on", query(b, "SELECT count(*) FROM busy WHERE id >= 900 AND y IS NULL") == [(2,)])
    check("COPY TO", len(copy(b, "COPY busy TO STDOUT").splitlines()) == 52)
    check("nobody waits any more", waits(a) == 0)


class Started:
    """A statement in a thread of its own: done() tells its SQLSTATE or result."""

    def __init__(self, conn, sql):
        self.state, self.rows, self.at = None, None, None

        def run():
            try:
                self.rows = query(conn, sql)
            except psycopg2.Error as e:
                self.state = e.pgcode or "lost"
            self.at = time.monotonic()
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def is_running(self):
        return self.thread.is_alive()

    def done(self):
        self.thread.join(60)
        check("a statement ends", not self.thread.is_alive())
        return self.state


# What a transaction does to a table, and a change that must wait for its end.
USES = [
    ("SELECT count(*) FROM used", "ALTER TABLE used ADD COLUMN w int"),
    ("UPDATE used SET v = 1 WHERE id = 1", "ALTER TABLE used DROP COLUMN w"),
    ("SELECT * FROM used_view", "DROP VIEW used_view"),
    ("DELETE FROM top WHERE id = 1", "ALTER TABLE bottom ADD COLUMN w int"),  # a cascade through two tables
    ("INSERT INTO bottom (id, m) VALUES (9, 2)", "ALTER TABLE middle ADD COLUMN w int"),
    ("DECLARE uc CURSOR FOR SELECT * FROM used", "DROP INDEX used_v"),
    ("TRUNCATE used", "ALTER TABLE used ADD COLUMN x int"),
    ("EXPLAIN SELECT * FROM used", "ALTER TABLE used DROP COLUMN x"),
    ("INSERT INTO used VALUES (79, 7)", "CREATE INDEX used_online ON used (v)"),
    ("INSERT INTO used VALUES (78, 7)", "CREATE TABLE pointer (u int REFERENCES used)"),
]


def users(c):
    """A change of a table waits for the transactions that have used it, wherever they are; who comes later waits for it."""
    a, b, d = c.connect(1), c.connect(2), c.connect(3)
    query(a, "CREATE TABLE used (id int PRIMARY KEY, v int)")
    query(a, "CREATE INDEX used_v ON used (v)")
    query(a, "CREATE VIEW used_view AS SELECT id FROM used")
    query(a, "CREATE TABLE top (id int PRIMARY KEY)")
    query(a, "CREATE TABLE middle (id int PRIMARY KEY, t int REFERENCES top ON DELETE CASCADE)")
    query(a, "CREATE TABLE bottom (id int PRIMARY KEY, m int REFERENCES middle ON DELETE CASCADE)")
    query(a, "INSERT INTO top VALUES (1), (2)")
    query(a, "INSERT INTO middle VALUES (1, 1), (2, 2)")
    query(a, "INSERT INTO bottom VALUES (1, 1), (2, 2)")
    for level in ("READ COMMITTED", "SERIALIZABLE"):
        query(a, "DROP TABLE IF EXISTS pointer")
        query(a, "DELETE FROM used")
        query(a, "INSERT INTO used SELECT g, 0 FROM generate_series(1, 50) g")
        for n, (use, change) in enumerate(USES):
            if level == "SERIALIZABLE" and n > 1:
                break
            user = (b, d, a)[n % 3]
            query(user, f"BEGIN ISOLATION LEVEL {level}")
            query(user, use)
            changer = c.connect(1 + n % 2)
            altering = Started(changer, change)
            wait_for(f"{change} waits for {use}", lambda: waits(a if user is not a else b) == 1)
            check(f"{change} waits", altering.is_running())
            if n == 0:
                late = Started(c.connect(3), "SELECT * FROM used WHERE id = 1")
                wait_for("who comes later waits", lambda: waits(a) == 2)
                query(user, "UPDATE used SET v = v + 1 WHERE id = 2")  # who was there goes on
                check("the same table still", query(user, "SELECT * FROM used WHERE id = 2") == [(2, 1)])
            if change.startswith("CREATE INDEX"):  # beside all others
                check("who comes later does not wait", state_of(lambda: query(c.connect(3), "UPDATE used SET v = v")) is None)
            query(user, "COMMIT")
            check(f"{change} after {use}", altering.done() is None, str(altering.state))
            if n == 0:
                check("who came later", late.done() is None and len(late.rows[0]) == 3, f"{late.state} {late.rows}")
    query(a, "CREATE TABLE apart (id int)")
    # Who waits keeps what its transaction has done before.
    for level in ("READ COMMITTED", "SERIALIZABLE"):
        for end in ("COMMIT", "ROLLBACK"):
            query(a, "BEGIN")
            query(a, f"ALTER TABLE middle ADD COLUMN m{level[0]}{end} int")
            query(b, f"BEGIN ISOLATION LEVEL {level}")
            query(b, f"INSERT INTO apart VALUES ({ord(level[0]) * 1000 + ord(end[0])})")
            late = Started(b, "SELECT count(*) FROM middle")
            wait_for("the statement waits", lambda: waits(d) == 1)
            query(a, end)
            check("it goes on", late.done() is None, str(late.state))
            query(b, "COMMIT")
            check(f"the statement before ({level}, {end})",
                  query(d, f"SELECT count(*) FROM apart WHERE id = {ord(level[0]) * 1000 + ord(end[0])}") == [(1,)])
    # A wait that is given up leaves nothing behind, and can be begun again.
    query(a, "INSERT INTO used VALUES (77, 7)")
    query(b, "BEGIN")
    query(b, "SELECT * FROM used")
    query(a, "BEGIN ISOLATION LEVEL READ COMMITTED")
    query(a, "SET LOCAL lock_timeout = '200ms'")
    query(a, "SAVEPOINT s")
    check("lock_timeout", state_of(lambda: query(a, "ALTER TABLE used ADD COLUMN z int")) == "55P03")
    query(a, "ROLLBACK TO s")
    check("its own reads", query(a, "SELECT v FROM used WHERE id = 77") == [(7,)])
    check("still there", state_of(lambda: query(a, "ALTER TABLE used ADD COLUMN z int")) == "55P03")
    query(a, "ROLLBACK TO s")
    query(b, "UPDATE used SET v = 5 WHERE id = 77")
    query(b, "COMMIT")
    query(a, "ALTER TABLE used ADD COLUMN z int DEFAULT 9")
    query(a, "COMMIT")
    check("changed at last", query(b, "SELECT v, z FROM used WHERE id = 77") == [(5, 9)])
    # Who was waited for in vain has lost nothing.
    query(a, "SET lock_timeout = '100ms'")
    for level in ("SERIALIZABLE", "READ COMMITTED"):
        query(b, f"BEGIN ISOLATION LEVEL {level}")
        query(b, "UPDATE used SET v = v + 1 WHERE id = 77")
        for change in ("ALTER TABLE used ADD COLUMN never int", "DROP TABLE used CASCADE"):
            check(f"{change}: lock_timeout", state_of(lambda s=change: query(a, s)) == "55P03")
        wait_for("it is taken back", lambda: query(d, "SELECT count(*) FROM sherd_jobs WHERE kind = 'schema'") == [(0,)])
        query(b, "UPDATE used SET v = v + 1 WHERE id = 77")
        check(f"the writer goes on ({level})", state_of(lambda: query(b, "COMMIT")) is None)
    check("all of it", query(d, "SELECT v FROM used WHERE id = 77") == [(9,)])
    query(a, "RESET lock_timeout")
    # Deadlock: the change waits for a reader, the reader for the change.
    query(a, "BEGIN")
    query(a, "ALTER TABLE top ADD COLUMN w int")
    query(b, "BEGIN")
    query(b, "SELECT * FROM used")
    altering = Started(a, "ALTER TABLE used DROP COLUMN z")
    wait_for("it waits for the reader", lambda: waits(d) == 1)
    begin = time.monotonic()
    state = state_of(lambda: query(b, "SELECT * FROM top"))
    query(b, "ROLLBACK")
    ends = sorted(str(x) for x in (state, altering.done()))
    check("one victim", ends == ["40P01", "None"], str(ends))
    check("soon", time.monotonic() - begin < DEADLOCK_SECONDS)
    query(a, "ROLLBACK")


def silent_users(c):
    """A router that is gone, or stopped, holds up a change for a few seconds only; what it goes on with later is refused."""
    a = c.connect(1)
    query(a, "CREATE TABLE quiet (id int PRIMARY KEY, v int)")
    query(a, "INSERT INTO quiet VALUES (1, 1)")
    for how in ("stopped", "killed"):
        for level in ("READ COMMITTED", "REPEATABLE READ"):
            reader, writer = c.connect_retry(3), c.connect_retry(3)
            for conn in (reader, writer):
                query(conn, f"BEGIN ISOLATION LEVEL {level}")
                query(conn, "SELECT * FROM quiet")
            query(writer, "UPDATE quiet SET v = v + 1")
            pid = c.pid(3)
            if how == "stopped":
                os.kill(pid, signal.SIGSTOP)
            else:
                c.kill(3)
            begin = time.monotonic()
            state = state_of(lambda: query(a, "ALTER TABLE quiet ADD COLUMN w int DEFAULT 3"))
            took = time.monotonic() - begin
            check(f"changed although a router is {how}", state is None and took < 20, f"{state} {took:.1f} s")
            print(f"  {how}: {took:.1f} s", flush=True)
            if how == "stopped":
                os.kill(pid, signal.SIGCONT)
                # Not both forms of the table.
                check(f"a reader goes on ({level})", state_of(lambda: query(reader, "SELECT * FROM quiet")) in ("40001", "lost"))
                check(f"a writer commits ({level})", state_of(lambda: query(writer, "COMMIT")) in ("40001", "lost"))
            else:
                c.start(3)
            check("nothing of it", query(c.connect_retry(3), "SELECT v, w FROM quiet") == [(1, 3)])
            query(a, "ALTER TABLE quiet DROP COLUMN w")


# What two transactions do first and then, on which nodes; the second pair closes a cycle.
DEADLOCKS = [
    ("a row and a table", 1, 2, "ALTER TABLE d1 ADD COLUMN n int", "UPDATE d2 SET v = 1 WHERE id = 1",
     "UPDATE d2 SET v = 2 WHERE id = 1", "SELECT * FROM d1"),
    ("a table for a reader and a row", 2, 1, "ALTER TABLE d1 ADD COLUMN n int", "SELECT * FROM d2 WHERE id = 1 FOR UPDATE",
     "DELETE FROM d2", "INSERT INTO d1 VALUES (7, 7)"),
    ("two tables, by reading", 1, 3, "ALTER TABLE d1 ADD COLUMN n int", "ALTER TABLE d2 ADD COLUMN n int",
     "SELECT * FROM d2", "SELECT * FROM d1"),
    ("two tables, by changing", 3, 2, "ALTER TABLE d1 ADD COLUMN n int", "ALTER TABLE d2 ADD COLUMN n int",
     "DROP TABLE d2", "TRUNCATE d1"),
    ("two tables, one router", 2, 2, "CREATE INDEX ON d1 (v)", "DROP TABLE d2", "SELECT * FROM d2", "ALTER TABLE d1 DROP COLUMN v"),
]


def searches_done(c):
    return sum(metric(c.sql_port(n) + 3, "sherd_shard_deadlock_searches_total") for n in (1, 2, 3))


def deadlocks(c):
    """Transactions that wait for each other's tables, or tables and rows: one gets 40P01 soon, the other goes on."""
    a = c.connect(1)
    for i in (1, 2):
        query(a, f"CREATE TABLE d{i} (id int PRIMARY KEY, v int)")
        query(a, f"INSERT INTO d{i} VALUES (1, 0)")
    # Somebody who waits long for something else makes nobody wait longer.
    query(a, "CREATE TABLE held (id int)")
    holder, waiter = c.connect(1), c.connect(1)
    query(holder, "BEGIN")
    query(holder, "ALTER TABLE held ADD COLUMN n int")
    long = threading.Thread(target=query, args=(waiter, "SELECT * FROM held"))
    long.start()
    wait_for("the long wait", lambda: waits(a) == 1)
    took = []
    for level in ("SERIALIZABLE", "READ COMMITTED"):
        for what, n1, n2, first1, first2, then1, then2 in DEADLOCKS:
            pair = [(c.connect(n1), first1, then1), (c.connect(n2), first2, then2)]
            for conn, first, _ in pair:
                query(conn, f"BEGIN ISOLATION LEVEL {level}")
                query(conn, first)
            ends = {}

            def run(i):
                conn, _, then = pair[i]
                begin = time.monotonic()
                state = state_of(lambda: query(conn, then))
                ends[i] = (state, time.monotonic() - begin)
                query(conn, "ROLLBACK")
            threads = [threading.Thread(target=run, args=(i,)) for i in (0, 1)]
            threads[0].start()
            wait_for(f"{what}: the first waits", lambda: query(a, "SELECT count(*) FROM sherd_lock_waits")[0][0] >= 2)
            threads[1].start()
            for t in threads:
                t.join(90)
            states = sorted(str(s) for s, _ in ends.values())
            check(f"{what} ({level}): one victim", states == ["40P01", "None"], str(ends))
            if "40P01" in states:
                at = ends[1][1]
                took.append(at)
                check(f"{what} ({level}): soon", at < DEADLOCK_SECONDS, f"{at:.3f}")
    # Waiting for another's table beside one's own in the same statement is no deadlock.
    x, y = c.connect(1), c.connect(2)
    query(x, "BEGIN")
    query(x, "ALTER TABLE d1 ADD COLUMN n int")
    query(y, "BEGIN")
    query(y, "ALTER TABLE d2 ADD COLUMN n int")
    ended = {}
    t = threading.Thread(target=lambda: ended.update(state=state_of(lambda: query(x, "SELECT * FROM d1, d2"))))
    t.start()
    wait_for("it waits for the other", lambda: waits(a) == 2)
    # One search may have begun before it; of the next ones each has seen it.
    searches = searches_done(c)
    wait_for("searches for deadlocks", lambda: searches_done(c) >= searches + 3)
    check("no deadlock with itself", not ended, str(ended))
    query(y, "ROLLBACK")
    t.join(30)
    check("it goes on", ended == {"state": None}, str(ended))
    query(x, "ROLLBACK")
    query(holder, "ROLLBACK")
    long.join(30)
    check("nobody waits any more", waits(a) == 0)
    for i in (1, 2):
        check("as before", query(a, f"SELECT * FROM d{i}") == [(1, 0)])
    print(f"  victims after {min(took):.3f} to {max(took):.3f} s", flush=True)


def views(c):
    """A view that was replaced is used by every router from then on: by all ways of running a statement."""
    a, others = c.connect(1), [c.connect(2), c.connect(3)]
    query(a, "CREATE TABLE seen_by (id int PRIMARY KEY)")
    query(a, "INSERT INTO seen_by SELECT generate_series(1, 5)")
    query(a, "CREATE VIEW fresh AS SELECT 0 AS n FROM seen_by")
    for o in others:
        query(o, "PREPARE p AS SELECT n + 0 FROM fresh WHERE n >= $1")
    ways = ("SELECT n FROM fresh", "SELECT n FROM fresh WHERE n >= 0 LIMIT 3", "EXECUTE p (0)", "DECLARE", "COPY", "SELECT n FROM fresh; SELECT n FROM fresh")
    for n in range(1, 61):
        query(a, f"CREATE OR REPLACE VIEW fresh AS SELECT {n} AS n FROM seen_by")
        o, sql = others[n % 2], ways[n % len(ways)]
        if sql == "DECLARE":
            query(o, "BEGIN")
            query(o, "DECLARE c CURSOR FOR SELECT n FROM fresh")
            got = query(o, "FETCH 2 c")
            query(o, "COMMIT")
        elif sql == "COPY":
            got = [(int(line),) for line in copy(o, "COPY (SELECT n FROM fresh) TO STDOUT").split()]
        else:
            got = query(o, sql)
        check(f"the view of node {2 + n % 2} by {sql}", set(got) == {(n,)}, f"{n}: {got}")
    query(a, "DROP VIEW fresh")
    for o in others:
        check("a dropped view", state_of(lambda conn=o: query(conn, "SELECT n FROM fresh")) == "42P01")
        check("prepared", state_of(lambda conn=o: query(conn, "EXECUTE p (0)")) == "42P01")


class Writer(threading.Thread):
    """Inserts, updates and deletes rows of `table`; keeps what must be there. Errors that promise that nothing was
    done are counted, lost connections make the row unknown."""

    def __init__(self, cluster, nodes, table, first):
        super().__init__(daemon=True)
        self.cluster, self.nodes, self.table = cluster, nodes, table
        self.next_id, self.rows, self.unknown = first, {}, set()
        self.stop, self.refused, self.done = False, {}, 0

    def run(self):
        node, conn = 0, None
        while not self.stop:
            self.next_id += 1
            i = self.next_id
            steps = [(f"INSERT INTO {self.table} (id, k) VALUES ({i}, {i})", i)]
            if i % 3 == 0:
                steps.append((f"UPDATE {self.table} SET k = {i + 500000000} WHERE id = {i}", i + 500000000))
            if i % 5 == 0:
                steps.append((f"DELETE FROM {self.table} WHERE id = {i}", None))
            for sql, value in steps:
                try:
                    if conn is None:
                        conn = self.cluster.connect(self.nodes[node])
                    query(conn, sql)
                    self.done += 1
                    self.rows[i] = value
                    if value is None:
                        del self.rows[i]
                except psycopg2.Error as e:
                    if e.pgcode is None or e.pgcode.startswith(("08", "57P")):
                        self.unknown.add(i)
                        conn = None
                        node = (node + 1) % len(self.nodes)
                    else:
                        self.refused[e.pgcode] = self.refused.get(e.pgcode, 0) + 1
                    break


def compare(conn, table, writers, what):
    have = dict(query(conn, f"SELECT id, k FROM {table} WHERE id > 100000"))
    unknown = set().union(*(w.unknown for w in writers))
    want = {i: v for w in writers for i, v in w.rows.items() if i not in unknown}
    wrong = [(i, v, have.get(i)) for i, v in want.items() if have.get(i) != v]
    ghosts = [i for i in have if i not in want and i not in unknown]
    check(f"{what}: rows", not wrong and not ghosts, f"wrong {wrong[:3]} ghosts {ghosts[:3]}")


def savepoints(c):
    """A table that was locked before a savepoint was left is ours still, as it was; what was built goes."""
    a, b = c.connect(1), c.connect(2)
    query(a, "CREATE TABLE sp (id int, k int NOT NULL, v int)")
    query(a, "INSERT INTO sp SELECT g, 1000 - g, g % 7 FROM generate_series(1, 500) g")
    query(a, "BEGIN")
    query(a, "SAVEPOINT s")
    query(a, "ALTER TABLE sp ADD COLUMN x int")
    query(a, "ROLLBACK TO s")
    check("the table as it was", query(a, "SELECT * FROM sp WHERE id = 3") == [(3, 997, 3)])
    query(a, "UPDATE sp SET v = v WHERE id = 3")
    query(a, "ALTER TABLE sp ADD COLUMN y int DEFAULT 4")
    check("changed again", query(a, "SELECT * FROM sp WHERE id = 3") == [(3, 997, 3, 4)])
    query(a, "COMMIT")
    check("committed", query(b, "SELECT y, count(*) FROM sp GROUP BY y") == [(4, 500)])
    for undone, made in (("CREATE INDEX sp_i ON sp (id)", "CREATE UNIQUE INDEX sp_i ON sp (k)"),
                         ("ALTER TABLE sp ADD PRIMARY KEY (id)", "ALTER TABLE sp ADD PRIMARY KEY (k)")):
        query(a, "BEGIN")
        query(a, "SAVEPOINT s")
        query(a, undone)
        query(a, "ROLLBACK TO s")
        query(a, made)
        query(a, "INSERT INTO sp SELECT max(id) + 1, max(k) + 1, 0, 4 FROM sp")
        query(a, "COMMIT")
        is_same, both = index_equals_table(b, "sp", "k")
        check(f"{made} after {undone} was undone", is_same, str(both))


def news(c):
    """What one router was told is there at once on another."""
    conns = [c.connect(n) for n in (1, 2, 3)]
    for i in range(60):
        a, b, d = conns[i % 3], conns[(i + 1) % 3], conns[(i + 2) % 3]
        query(a, f"CREATE TABLE news{i} (id int PRIMARY KEY, v int)")
        check("a new table is written", state_of(lambda: query(b, f"INSERT INTO news{i} VALUES (1, 2)")) is None)
        check("a new table is told of", query(d, f"SELECT count(*) FROM pg_class WHERE relname = 'news{i}'") == [(1,)])
        query(d, f"ALTER TABLE news{i} ADD COLUMN w int DEFAULT 3")
        check("a new column is read", query(a, f"SELECT v, w FROM news{i}") == [(2, 3)])
        query(b, f"ALTER TABLE news{i} ADD COLUMN x int")
        with d.cursor() as cur:
            cur.copy_expert(f"COPY news{i} (id, x) FROM STDIN", io.StringIO("7\t8\n"))
        query(d, f"ALTER TABLE news{i} DROP COLUMN w")
        query(d, f"ALTER TABLE news{i} DROP COLUMN v")
        query(d, f"ALTER TABLE news{i} ADD COLUMN v text")
        check("another type is known", state_of(lambda: query(b, f"INSERT INTO news{i} (id, v) VALUES (8, 'text')")) is None)
        check("a dropped column is gone", state_of(lambda: query(a, f"SELECT w FROM news{i}")) == "42703")
        query(b, f"DROP TABLE news{i}")
        check("a dropped table is not told of",
              query(a, f"SELECT count(*) FROM information_schema.tables WHERE table_name = 'news{i}'") == [(0,)])
        check("a dropped table is gone", state_of(lambda: query(d, f"SELECT v FROM news{i}")) == "42P01")


def alone(c):
    """Without a majority of the metadata group: what needs no newer catalog is answered as ever."""
    a = c.connect(1)
    query(a, "SELECT 1")
    c.kill(2)
    c.kill(3)
    wait_for("node 1 leads the metadata group no more", lambda: metric(c.port + 3, "sherd_meta_leader") == 0)
    begin = time.monotonic()
    check("a text that is no SQL", state_of(lambda: query(a, "SELEC 1")) == "42601")
    check("a function that is none", state_of(lambda: query(a, "SELECT nothing_of_this_name(1)")) == "42883")
    check("a type that does not fit", state_of(lambda: query(a, "SELECT 1 + 'x'")) == "22P02")
    check("a setting", query(a, "SELECT count(*) FROM pg_settings WHERE name = 'lock_timeout'") == [(1,)])
    check("told at once", time.monotonic() - begin < 2, f"{time.monotonic() - begin:.1f} s")
    c.start(2)
    c.start(3)
    c.connect_retry(2).close()
    c.connect_retry(3).close()


def beside_writers(c):
    """CREATE INDEX beside writers: index equals table while it is made (for whom it is usable) and after it."""
    a = c.connect(1)
    query(a, "CREATE TABLE live (id int PRIMARY KEY, k int NOT NULL)")
    query(a, "INSERT INTO live SELECT g, g FROM generate_series(1, 4000) g")
    writers = [Writer(c, [1 + i % 3, 1 + (i + 1) % 3], "live", 1000000 * (i + 1)) for i in range(3)]
    for w in writers:
        w.start()
    old = c.connect(2)
    query(old, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    before = query(old, "SELECT count(*), sum(k) FROM live")
    stop, wrong, looks = [False], [], [0]

    def look():
        conn = c.connect(3)
        while not stop[0]:
            query(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                same, detail = index_equals_table(conn, "live", "k")
                looks[0] += 1
                if not same:
                    wrong.append(detail)
            except psycopg2.Error as e:
                if e.pgcode != "40001":
                    wrong.append(e.pgcode)
            query(conn, "ROLLBACK")
    t = threading.Thread(target=look)
    t.start()
    for n in range(3):
        query(a, f"CREATE {'UNIQUE ' if n == 1 else ''}INDEX live_k ON live (k)")
        plan = "\n".join(r[0] for r in query(a, "EXPLAIN SELECT count(*), sum(k) FROM live WHERE k >= 0"))
        check("the index is used", "live_k" in plan, plan)
        # A snapshot from before the index: the same as without it, or a refusal, never less.
        try:
            after = query(old, "SELECT count(*), sum(k) FROM live WHERE k >= 0")
            check("an old snapshot and the new index", after == before, f"{before} {after}")
        except psycopg2.Error as e:
            check("an old snapshot is refused", e.pgcode == "40001", str(e))
            query(old, "ROLLBACK")
            query(old, "BEGIN ISOLATION LEVEL REPEATABLE READ")
            before = query(old, "SELECT count(*), sum(k) FROM live")
        query(a, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        same, detail = index_equals_table(a, "live", "k")
        query(a, "COMMIT")
        check("index equals table", same, str(detail))
        if n < 2:
            query(old, "COMMIT")  # DROP INDEX would wait for it
            query(a, "DROP INDEX live_k")
            query(old, "BEGIN ISOLATION LEVEL REPEATABLE READ")
            before = query(old, "SELECT count(*), sum(k) FROM live")
    stop[0] = True
    t.join(30)
    for w in writers:
        w.stop = True
    for w in writers:
        w.join(30)
    check("index equals table in each snapshot", not wrong and looks[0] > 0, f"{looks[0]} looks, {wrong[:3]}")
    compare(a, "live", writers, "beside CREATE INDEX")
    codes = set().union(*(w.refused for w in writers))
    check("writers hear of conflicts only", codes <= {"40001"}, str([w.refused for w in writers]))
    print(f"  {sum(w.done for w in writers)} writes, {looks[0]} looks, refused {[w.refused for w in writers]}", flush=True)


# Crash point, statements before, statements of the transaction, whether it may have committed.
CRASHES = [
    ("SCHEMA_LOCKED", ["ALTER TABLE t ADD COLUMN c int"], False),
    ("SCHEMA_FENCED", ["ALTER TABLE t ADD COLUMN c int"], False),
    ("SCHEMA_BUILT", ["ALTER TABLE t ADD PRIMARY KEY (id)"], False),
    ("SCHEMA_PREPARED", ["BEGIN", "ALTER TABLE t ADD COLUMN c int DEFAULT 1", "UPDATE t SET c = 2 WHERE id <= 3",
                         "CREATE TABLE n (x int)", "INSERT INTO n VALUES (1)", "COMMIT"], False),
    ("SCHEMA_COMMITTED", ["BEGIN", "ALTER TABLE t ADD COLUMN c int DEFAULT 1", "UPDATE t SET c = 2 WHERE id <= 3",
                          "CREATE TABLE n (x int)", "INSERT INTO n VALUES (1)", "COMMIT"], True),
    ("SCHEMA_COMMITTED", ["ALTER TABLE t ADD PRIMARY KEY (id)"], True),
    ("INDEX_ADDED", ["CREATE INDEX t_k ON t (k)"], True),
    ("INDEX_WRITABLE", ["CREATE INDEX t_k ON t (k)"], True),
    ("SCHEMA_BUILT:3", ["CREATE UNIQUE INDEX t_k ON t (k)"], True),
    ("INDEX_FILLED", ["CREATE INDEX t_k ON t (k)"], True),
    ("JOB_UNDONE", ["BEGIN", "CREATE INDEX t_k ON t (k)", "ROLLBACK"], False),
    ("JOB_FINALIZED", ["DROP TABLE t"], True),
]


def crash(c, restart, point, statements, may_commit):
    what = f"{point} in {'; '.join(statements)}"
    a = c.connect_retry(1)
    for t in ("t", "n"):
        query(a, f"DROP TABLE IF EXISTS {t}")
    query(a, "CREATE TABLE t (id int NOT NULL, k int)")
    query(a, "INSERT INTO t SELECT g, g FROM generate_series(1, 3000) g")
    c.kill(2)
    os.environ["SHERD_CRASH_AT"] = point
    try:
        c.start(2)
    finally:
        del os.environ["SHERD_CRASH_AT"]
    b = c.connect_retry(2)
    begin = time.monotonic()
    try:
        for s in statements:
            query(b, s)
        # It dies in the background, if at all.
        while time.monotonic() < begin + 30:
            query(b, "SELECT 1")
            time.sleep(0.02)
        check(what, False, "the server did not die")
        return
    except psycopg2.OperationalError:
        pass
    died = time.monotonic()
    if restart:
        c.start(2)
    a = c.connect_retry(1)
    # Never left fenced, locked, half indexed: the table can be read, written and changed by others.
    dropped = statements == ["DROP TABLE t"]
    if not dropped:
        check(f"{what}: written", state_of(lambda: query(a, "INSERT INTO t (id, k) VALUES (5000, 5000)")) is None)
        check(f"{what}: read", query(a, "SELECT count(*) FROM t") == [(3001,)])
    freed = time.monotonic()
    wait_for(f"{what}: the job ends", lambda: query(a, "SELECT count(*) FROM pg_catalog.sherd_jobs WHERE kind = 'schema'") == [(0,)])
    ended = time.monotonic()
    if not dropped:
        same, detail = index_equals_table(a, "t", "k")
        check(f"{what}: index equals table", same, str(detail))
        check(f"{what}: indexes are valid",
              query(a, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)])
    has = query(a, "SELECT count(*) FROM information_schema.columns WHERE table_name = 't' AND column_name = 'c'")[0][0]
    if "COMMIT" in statements:
        made = query(a, "SELECT count(*) FROM pg_class WHERE relname = 'n'")[0][0]
        check(f"{what}: rows and catalog together", made == has == (1 if may_commit else 0), f"{made} {has}")
        if may_commit:
            check(f"{what}: rows", query(a, "SELECT (SELECT count(*) FROM n), sum(c) FROM t") [0][0] == 1)
            check(f"{what}: updated", query(a, "SELECT count(*) FROM t WHERE c = 2") == [(3,)])
    elif any("ADD COLUMN" in s for s in statements):
        check(f"{what}: undone", has == 0)
    if not dropped:
        check(f"{what}: can be changed", state_of(lambda: query(a, "ALTER TABLE t ADD COLUMN after int")) is None)
        check(f"{what}: can be indexed", state_of(lambda: query(a, "CREATE INDEX ON t (after)")) is None)
        if "PRIMARY KEY" in statements[0]:
            key = query(a, "SELECT count(*) FROM pg_index WHERE indisprimary AND indrelid = 't'::regclass")[0][0]
            check(f"{what}: key", key == (1 if may_commit else 0))
            query(a, "INSERT INTO t (id, k) VALUES (6000, 1)")
            check(f"{what}: count", query(a, "SELECT count(*) FROM t") == [(3002,)])
    else:
        check(f"{what}: gone", state_of(lambda: query(a, "SELECT 1 FROM t")) == "42P01")
    print(f"  {what}: table free after {freed - died:.2f} s, job ended after {ended - died:.2f} s", flush=True)
    if not restart:
        c.start(2)
        c.connect_retry(2)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--only")
    ap.add_argument("--no-restart", action="store_true", help="the server that died stays down: the others go on")
    args = ap.parse_args()
    with Cluster() as c:
        for test in (atomic, large, locked, users, silent_users, deadlocks, views, savepoints, news, beside_writers, alone):
            if args.only in (None, test.__name__):
                begin = time.monotonic()
                test(c)
                print(f"{test.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
        for point, statements, may_commit in CRASHES:
            if args.only in (None, "crash", point):
                crash(c, not args.no_restart, point, statements, may_commit)
    print(f"{len(failures)} failed" if failures else "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
