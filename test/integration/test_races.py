#!/usr/bin/python3
"""Autocommit statements of several routers race for the same rows: none waits for a lock that nobody holds any more, and
what was acknowledged is there. (test/chaos has the long form; these are cases that it found.)"""
import sys
import threading
import time

import psycopg2

from cluster import Cluster, query


def together(*runs):
    """Runs them side by side; the first failure is raised."""
    failures = []

    def guarded(run):
        try:
            run()
        except Exception as e:  # pylint: disable=broad-except
            failures.append(e)

    threads = [threading.Thread(target=guarded, args=(r,)) for r in runs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


def one_row(c):
    """A locking read that meets a newer version leaves no lock behind: it took a second to be found."""
    conn = c.connect()
    query(conn, "CREATE TABLE counter (k int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 3)")
    query(conn, "INSERT INTO counter VALUES (1, 0)")
    times = []

    def work(node):
        own = c.connect(node)
        for _ in range(25):
            begin = time.monotonic()
            query(own, "UPDATE counter SET v = v + 1 WHERE k = 1")
            times.append(time.monotonic() - begin)

    together(*[lambda n=n: work(n) for n in (1, 2, 3)])
    if query(conn, "SELECT v FROM counter") != [(75,)]:
        raise RuntimeError("updates of one row were lost")
    times.sort()
    print(f"75 updates of one row by three: median {1000 * times[37]:.0f} ms, longest {1000 * times[-1]:.0f} ms")
    if times[37] > 0.5:
        raise RuntimeError("updates of one row wait for locks that nobody holds")


def child_against_parent(c, pairs=250):
    """A commit that meets a conflict is run again, or refused; never acknowledged for nothing."""
    conn = c.connect()
    query(conn, "CREATE TABLE parent (id int PRIMARY KEY) WITH (sharding = 'hash', shards = 3)")
    query(conn, "CREATE TABLE child (id int PRIMARY KEY, p int NOT NULL REFERENCES parent (id)) "
          "WITH (sharding = 'hash', shards = 2)")
    query(conn, "CREATE INDEX child_p ON child (p)")
    query(conn, f"INSERT INTO parent SELECT i FROM generate_series(1, {pairs}) i")
    barrier = threading.Barrier(2)
    acknowledged = ([], [])

    def work(node, text, into):
        own = c.connect(node)
        for i in range(1, pairs + 1):
            barrier.wait()
            try:
                query(own, text, {"i": i})
                into.append(i)
            except psycopg2.errors.ForeignKeyViolation:
                pass
            except psycopg2.errors.SerializationFailure:
                pass

    together(lambda: work(1, "INSERT INTO child VALUES (%(i)s, %(i)s)", acknowledged[0]),
             lambda: work(2, "DELETE FROM parent WHERE id = %(i)s", acknowledged[1]))
    children = {r[0] for r in query(conn, "SELECT id FROM child")}
    parents = {r[0] for r in query(conn, "SELECT id FROM parent")}
    bad = [f"child {i} was acknowledged and is not there" for i in acknowledged[0] if i not in children]
    bad += [f"the delete of parent {i} was acknowledged and it is there" for i in acknowledged[1] if i in parents]
    bad += [f"child {i} has no parent" for i in children - parents]
    if bad:
        raise RuntimeError(f"{len(bad)} of {pairs}: {bad[0]}")
    # Keys and rows of an ordered index scan come by two reads: never at LATEST.
    if [r[0] for r in query(conn, "SELECT p FROM child WHERE p >= 0 ORDER BY p")] != sorted(children):
        raise RuntimeError("the index of the children has others than the table")
    print(f"{pairs} races of a child against its parent: {len(acknowledged[0])} children, "
          f"{len(acknowledged[1])} deletes")


def deadlock(c):
    """Over two shards: one gets 40P01 soon, at its first conflict, and the other goes on."""
    conn = c.connect()
    for t in ("dead_a", "dead_b"):
        query(conn, f"CREATE TABLE {t} (k int PRIMARY KEY, v int NOT NULL) WITH (sharding = 'hash', shards = 1)")
        query(conn, f"INSERT INTO {t} VALUES (1, 0)")
    barrier, states, times = threading.Barrier(2), [], []

    def work(node, first, second):
        own = c.connect(node, autocommit=False)
        for _ in range(5):
            query(own, f"UPDATE {first} SET v = v + 1")
            barrier.wait()
            begin = time.monotonic()
            try:
                query(own, f"UPDATE {second} SET v = v + 1")
                own.commit()
                states.append("ok")
            except psycopg2.Error as e:
                states.append(e.pgcode)
                own.rollback()
            times.append(time.monotonic() - begin)
            barrier.wait()

    together(lambda: work(1, "dead_a", "dead_b"), lambda: work(2, "dead_b", "dead_a"))
    print(f"5 deadlocks over two shards: {sorted(states)}, solved in at most {1000 * max(times):.0f} ms")
    if states.count("40P01") != 5 or states.count("ok") != 5:
        raise RuntimeError("each deadlock has one victim")
    if sorted(times)[5] > 1:
        raise RuntimeError("deadlocks over shards take long")


def nothing_twice(c, values=150):
    """ON CONFLICT DO NOTHING at every level: the shard of the row has done its part when that of the unique key
    refuses."""
    for level in ("serializable", "repeatable read", "read committed"):
        conn = c.connect()
        query(conn, "DROP TABLE IF EXISTS once")
        query(conn, "CREATE TABLE once (id int PRIMARY KEY, u int UNIQUE) WITH (sharding = 'hash', shards = 3)")
        barrier, told = threading.Barrier(3), []

        def work(node):
            own = c.connect(node)
            query(own, f"SET default_transaction_isolation = '{level}'")  # pylint: disable=cell-var-from-loop
            for u in range(values):
                barrier.wait()  # pylint: disable=cell-var-from-loop
                with own.cursor() as cur:
                    cur.execute("INSERT INTO once VALUES (%s, %s) ON CONFLICT DO NOTHING", (u * 3 + node, u))
                    if cur.rowcount == 1:
                        told.append(u * 3 + node)  # pylint: disable=cell-var-from-loop

        together(*[lambda n=n: work(n) for n in (1, 2, 3)])
        rows = query(conn, "SELECT id, u FROM once WHERE id + 0 >= 0")
        if sorted(r[0] for r in rows) != sorted(told) or sorted(r[1] for r in rows) != list(range(values)):
            raise RuntimeError(f"{level}: {len(rows)} rows, {len(told)} told, for {values} values")
    print(f"{values} values, three at once, ON CONFLICT DO NOTHING, every level: each there once, as told")


def joined(c, each=40):
    """UPDATE ... FROM, and with a sub-select, of the same row by all: each goes on under the lock that it has waited
    for, so none is refused, and what is joined is of the same moment."""
    conn = c.connect()
    query(conn, "CREATE TABLE rate (id int PRIMARY KEY, r int)")
    query(conn, "CREATE TABLE account (id int PRIMARY KEY, rate int, v int) WITH (sharding = 'hash', shards = 3)")
    query(conn, "INSERT INTO rate VALUES (1, 1), (2, 2)")
    statements = ("UPDATE account SET v = v + r FROM rate WHERE rate.id = account.rate AND account.id = 1",
                  "UPDATE account SET v = v + (SELECT r FROM rate WHERE rate.id = account.rate) WHERE id BETWEEN 1 AND 3")
    for level in ("read committed", "serializable"):
        for sql in statements:
            query(conn, "DELETE FROM account")
            query(conn, "INSERT INTO account VALUES (1, 1, 0), (2, 1, 0), (3, 2, 0)")

            def work(node):
                own = c.connect(node)
                query(own, f"SET default_transaction_isolation = '{level}'")  # pylint: disable=cell-var-from-loop
                for _ in range(each):
                    query(own, sql)  # pylint: disable=cell-var-from-loop

            together(*[lambda n=n: work(1 + n % 3) for n in range(8)])
            have = query(conn, "SELECT v FROM account WHERE id = 1")
            if have != [(8 * each,)]:
                raise RuntimeError(f"{level}: {have} after {8 * each} of {sql}")
    print(f"{8 * each} joined updates of one row by 8 clients, none refused, none lost")


def fresh_tables(c):
    """A table can be used at once and everywhere, while its shards are still being cut."""
    conns = [c.connect(n) for n in (1, 2, 3)]
    for i in range(6):
        query(conns[0], f"CREATE TABLE fresh{i} (k int PRIMARY KEY) WITH (sharding = 'hash', shards = 4)")
        for n, conn in enumerate(conns):
            query(conn, f"INSERT INTO fresh{i} SELECT g * 3 + {n} FROM generate_series(1, 8) g")
        for conn in conns:
            if query(conn, f"SELECT count(*) FROM fresh{i}") != [(24,)]:
                raise RuntimeError("rows of a fresh table are missing")


def main():
    with Cluster() as c:
        fresh_tables(c)
        one_row(c)
        deadlock(c)
        nothing_twice(c)
        joined(c)
        child_against_parent(c)
    return 0


if __name__ == "__main__":
    sys.exit(main())
