#!/usr/bin/python3
"""sherd_transaction_id() and sherd_transaction_status(): what became of a transaction, asked of any node, also after the
router that ran it is gone."""
import sys

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


def main():
    with Cluster(3) as c:
        for test in (known_by_its_router, replay_keeps_its_word, router_gone):
            test(c)
            print(f"{test.__name__}: ok", flush=True)


if __name__ == "__main__":
    sys.exit(main())
