"""Sequences over several routers: setval() on one is followed by nextval() on every other, whatever they had
taken in advance; and no value is given twice."""
import sys
import threading

from cluster import Cluster, query


def setval_is_followed(cluster):
    conns = [cluster.connect_retry(n) for n in (1, 2, 3)]
    query(conns[0], "CREATE SEQUENCE s")
    for round_ in range(1, 7):
        for c in conns:  # in haste: blocks grow
            for _ in range(8):
                query(c, "SELECT max(nextval('s')) FROM generate_series(1, 40)")
        value = round_ * 1000000
        setter = conns[round_ % 3]
        query(setter, "SELECT setval('s', %s)", (value,))
        got = [query(c, "SELECT nextval('s')")[0][0] for c in conns]
        assert len(set(got)) == 3 and all(value < v < value + 10000 for v in got), (round_, got)
    query(conns[0], "ALTER SEQUENCE s RESTART WITH 7000000")
    got = [query(c, "SELECT nextval('s')")[0][0] for c in conns]
    assert min(got) == 7000000 and len(set(got)) == 3, got
    for c in conns:
        c.close()


def nothing_twice(cluster):
    seen, errors = [], []

    def take(node):
        try:
            c = cluster.connect(node)
            mine = []
            for i in range(60):
                n = 1 + i % 25
                mine += [r[0] for r in query(c, f"SELECT nextval('t') FROM generate_series(1, {n})")]
            assert mine == sorted(mine)
            seen.extend(mine)
        except Exception as e:  # shown by the main thread
            errors.append(e)

    c = cluster.connect(1)
    query(c, "CREATE SEQUENCE t")
    threads = [threading.Thread(target=take, args=(1 + i % 3,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors
    assert len(seen) == len(set(seen)) > 0


def main():
    with Cluster(3) as cluster:
        setval_is_followed(cluster)
        nothing_twice(cluster)
    print("test_sequences: ok")


if __name__ == "__main__":
    sys.exit(main())
