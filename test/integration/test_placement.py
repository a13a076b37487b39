"""Co-located and reference tables on a real cluster of four nodes: where rows are, that a transaction over
corresponding rows is one shard's, errors, and both kinds of table after the loss of a node."""
import sys
import time
import urllib.request

import psycopg2

from cluster import Cluster, query

ORDERS = 200


def wait_for(what, check, seconds=30):
    end = time.monotonic() + seconds
    while True:
        got = check()
        if got:
            return got
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def fails(conn, sql, state, text=""):
    try:
        query(conn, sql)
    except psycopg2.Error as e:
        assert e.pgcode == state and text in str(e), f"{sql}: {e.pgcode} {e}"
        return
    raise AssertionError(f"{sql}: went through, not {state}")


def shards_of(conn, table):
    return {r[0] for r in query(conn, "SELECT shard_id FROM sherd_table_shards WHERE tablename = %s", (table,))}


def plan_shards(conn, sql):
    """Shard ids that EXPLAIN names for the statement."""
    out = set()
    for (line,) in query(conn, "EXPLAIN " + sql):
        if "Shards:" in line:
            out |= {int(p.split()[0]) for p in line.split("Shards:")[1].split(",")}
    return out


def reference_shard(conn, table):
    rows = query(conn, "SELECT s.placement, s.replicas, s.learners FROM sherd_shards s "
                 "JOIN sherd_table_shards t ON t.shard_id = s.shard_id WHERE t.tablename = %s", (table,))
    return rows[0] if len(rows) == 1 else None


def errors(c):
    query(c, "CREATE TABLE by_range (id bigint PRIMARY KEY)")
    query(c, "CREATE TABLE no_key (id bigint) WITH (sharding = 'hash')")
    pk = "(a bigint PRIMARY KEY)"
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'nothing')", "42P01")
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'by_range')", "0A000", "range")
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'currency')", "0A000", "every node")
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'no_key')", "0A000", "primary key")
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'items')", "22023", "orders")
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'orders', shards = 5)", "22023", "has 4")
    fails(c, f"CREATE TABLE x {pk} WITH (colocate_with = 'orders', sharding = 'reference')", "22023", "contradict")
    fails(c, f"CREATE TABLE x {pk} WITH (sharding = 'reference', shards = 2)", "22023")
    fails(c, "CREATE TABLE x (a text PRIMARY KEY) WITH (colocate_with = 'orders')", "42P16", "bigint")
    fails(c, "CREATE TABLE x (a bigint) WITH (colocate_with = 'orders')", "42P16")
    fails(c, "DROP TABLE orders", "2BP01")
    fails(c, "DROP TABLE orders CASCADE", "2BP01", "co-located")
    query(c, "DROP TABLE by_range, no_key")


def colocated(c):
    query(c, "CREATE TABLE orders (id bigint PRIMARY KEY, who text) WITH (sharding = 'hash', shards = 4)")
    query(c, "CREATE TABLE items (order_id bigint REFERENCES orders, line int, what text, "
          "PRIMARY KEY (order_id, line)) WITH (colocate_with = 'orders')")
    wait_for("four shards", lambda: len(shards_of(c, "orders")) == 4)
    c.autocommit = False
    for i in range(1, ORDERS + 1):
        query(c, "INSERT INTO orders VALUES (%s, %s)", (i, f"customer {i}"))
        query(c, "INSERT INTO items SELECT %s, l, 'thing ' || l FROM generate_series(1, 3) l", (i,))
        c.commit()
    c.autocommit = True
    assert shards_of(c, "orders") == shards_of(c, "items")
    used = set()
    for i in range(1, 41):
        one = plan_shards(c, f"SELECT * FROM orders WHERE id = {i}")
        assert len(one) == 1 and one == plan_shards(c, f"SELECT * FROM items WHERE order_id = {i}"), i
        used |= one
    assert used == shards_of(c, "orders"), used
    holds_all(c)
    # Indexes of a co-located table lie elsewhere, and find its rows.
    query(c, "CREATE INDEX items_what ON items (what)")
    assert query(c, "SELECT count(*) FROM items WHERE what = 'thing 2'") == [(ORDERS,)]
    assert query(c, "SELECT order_id FROM items WHERE what = 'thing 3' ORDER BY what, order_id LIMIT 2") == [(1,), (2,)]
    query(c, "DROP INDEX items_what")
    fails(c, "INSERT INTO items VALUES (100000, 1, 'x')", "23503")
    fails(c, "DELETE FROM orders WHERE id = 7", "23503")
    # Emptying or dropping one leaves the others' rows, which lie among its own.
    query(c, "CREATE TABLE notes (order_id int, line int, PRIMARY KEY (order_id, line)) WITH (colocate_with = orders)")
    query(c, "INSERT INTO notes SELECT g, 1 FROM generate_series(1, 50) g")
    query(c, "TRUNCATE notes")
    assert query(c, "SELECT count(*) FROM notes") == [(0,)]
    query(c, "INSERT INTO notes SELECT g, 1 FROM generate_series(1, 50) g")
    query(c, "DROP TABLE notes")
    holds_all(c)


def holds_all(c):
    assert query(c, "SELECT count(*), sum(id) FROM orders") == [(ORDERS, ORDERS * (ORDERS + 1) // 2)]
    assert query(c, "SELECT count(*), sum(line) FROM items") == [(3 * ORDERS, 6 * ORDERS)]
    assert query(c, "SELECT count(*) FROM orders o JOIN items i ON i.order_id = o.id") == [(3 * ORDERS,)]


def participant_calls(cluster):
    """Commits, prepares and finalizes that the shards of all nodes have seen."""
    total = 0
    for node in range(1, cluster.nodes + 1):
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.sql_port(node) + 3}/metrics", timeout=10) as r:
            for line in r.read().decode().splitlines():
                if line.startswith("sherd_shard_commits_total"):
                    total += int(float(line.split()[-1]))
    return total


def one_shard_commits(cluster, c):
    """A transaction over an order and its items has one participant: one commit, nothing to prepare."""
    used = {min(plan_shards(c, f"SELECT * FROM orders WHERE id = {i}")): i for i in range(1, 41)}
    x, y = list(used.values())[:2]  # in different buckets
    for first, second, is_one in ((x, x, True), (y, y, True), (x, y, False)):
        before = participant_calls(cluster)
        for _ in range(10):
            query(c, "BEGIN")
            query(c, "UPDATE orders SET who = 'x' WHERE id = %s", (first,))
            query(c, "UPDATE items SET what = 'x' WHERE order_id = %s", (second,))
            query(c, "COMMIT")
        calls = participant_calls(cluster) - before
        assert calls == 10 if is_one else calls >= 20, (first, second, calls)


def reference(c):
    query(c, "CREATE TABLE currency (code text PRIMARY KEY, rate numeric) WITH (sharding = 'reference')")
    query(c, "INSERT INTO currency VALUES ('EUR', 1), ('USD', 1.1)")
    wait_for("a replica on every node", lambda: (lambda s: s and s[0] == "reference" and
             sorted(s[1] + s[2]) == [1, 2, 3, 4] and len(s[1]) == 3)(reference_shard(c, "currency")))
    query(c, "ALTER TABLE currency ADD COLUMN name text")
    query(c, "CREATE INDEX currency_rate ON currency (rate)")
    query(c, "UPDATE currency SET name = 'euro' WHERE code = 'EUR'")
    assert query(c, "SELECT code FROM currency WHERE rate > 1") == [("USD",)]


def after_kill(cluster, dead, ask):
    cluster.kill(dead)
    c = wait_for("a node that answers", lambda: answers(cluster, ask))
    holds_all(c)
    query(c, "INSERT INTO currency VALUES (%s, 2)", (f"N{dead}",))
    assert query(c, "SELECT rate FROM currency WHERE code = %s", (f"N{dead}",)) == [(2,)]
    query(c, "BEGIN")
    query(c, "UPDATE orders SET who = who WHERE id <= 20")
    query(c, "UPDATE items SET what = what WHERE order_id <= 20")
    query(c, "COMMIT")
    for i in range(1, 21):  # together still, whoever leads now
        assert (plan_shards(c, f"SELECT * FROM orders WHERE id = {i}") ==
                plan_shards(c, f"SELECT * FROM items WHERE order_id = {i}")), i
    leaders = {t: set(query(c, "SELECT shard_id, leader_node FROM sherd_table_shards WHERE tablename = %s", (t,)))
               for t in ("orders", "items")}
    assert leaders["orders"] == leaders["items"], leaders
    assert all(node != dead for _, node in leaders["orders"]), leaders
    cluster.start(dead)
    wait_for(f"node {dead} is back", lambda: answers(cluster, dead)).close()
    return c


def answers(cluster, node):
    try:
        c = cluster.connect(node)
        query(c, "SELECT count(*) FROM orders")
        query(c, "SELECT count(*) FROM currency")
        return c
    except psycopg2.Error:
        return None


def key_added_later(c):
    """A primary key that comes with ALTER TABLE moves the rows to other keys: these are split too."""
    query(c, "CREATE TABLE late (id bigint, v int) WITH (sharding = 'hash', shards = 3)")
    query(c, "INSERT INTO late SELECT g, g FROM generate_series(1, 100) g")
    query(c, "ALTER TABLE late ADD PRIMARY KEY (id)")
    wait_for("three shards of rows", lambda: len({
        s for i in range(1, 21) for s in plan_shards(c, f"SELECT * FROM late WHERE id = {i}")}) == 3)
    assert query(c, "SELECT count(*), sum(v) FROM late") == [(100, 5050)]
    query(c, "DROP TABLE late")


def in_transactions(c):
    """Both kinds of table take part in transactional schema changes."""
    query(c, "BEGIN")
    query(c, "CREATE TABLE a (id bigint PRIMARY KEY) WITH (sharding = 'hash', shards = 3)")
    query(c, "CREATE TABLE b (id bigint REFERENCES a, n int, PRIMARY KEY (id, n)) WITH (colocate_with = a)")
    query(c, "CREATE TABLE r (id bigint PRIMARY KEY) WITH (sharding = 'reference')")
    for table in ("a", "r"):
        query(c, f"INSERT INTO {table} SELECT g FROM generate_series(1, 30) g")
    query(c, "INSERT INTO b SELECT g, 1 FROM generate_series(1, 30) g")
    query(c, "COMMIT")
    wait_for("shards", lambda: len(shards_of(c, "a")) == 3 and shards_of(c, "b") == shards_of(c, "a") and
             reference_shard(c, "r"))
    query(c, "BEGIN")
    query(c, "DROP TABLE b")
    query(c, "DROP TABLE a")
    query(c, "ROLLBACK")
    query(c, "BEGIN")
    query(c, "CREATE TABLE b2 (id bigint, n int, PRIMARY KEY (id, n)) WITH (colocate_with = a)")
    query(c, "INSERT INTO b2 VALUES (1, 1)")
    query(c, "ROLLBACK")
    assert [query(c, f"SELECT count(*) FROM {t}")[0][0] for t in ("a", "b", "r")] == [30, 30, 30]
    query(c, "DROP TABLE b, a, r")


def main():
    with Cluster(4) as cluster:
        c = cluster.connect_retry(1)
        colocated(c)
        one_shard_commits(cluster, c)
        reference(c)
        errors(c)
        in_transactions(c)
        key_added_later(c)
        c = after_kill(cluster, 2, 1)
        c = after_kill(cluster, 1, 4)
        query(c, "DROP TABLE currency")
        wait_for("the dropped table's shard is one like any other", lambda: query(
            c, "SELECT count(*) FROM sherd_shards WHERE placement = 'reference' OR learners <> '{}'") == [(0,)])
        query(c, "DROP TABLE items, orders")
        query(c, "CREATE TABLE orders (id bigint PRIMARY KEY) WITH (sharding = 'hash', shards = 2)")
        assert query(c, "SELECT count(*) FROM orders") == [(0,)]
    print("test_placement: ok")


if __name__ == "__main__":
    sys.exit(main())
