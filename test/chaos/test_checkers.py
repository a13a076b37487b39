#!/usr/bin/python3
"""The checkers against hand-made histories: each sees the anomaly it is for, and nothing in a good history."""
import sys
import unittest

import linear
import workloads
from graph import Graph
from tpcb import TpcB

BY_NAME = {**workloads.BY_NAME, TpcB.name: TpcB}


def op(f, value, t0=0.0, t1=None, kind="ok", **more):
    return dict(f=f, value=value, t0=t0, t1=t0 + 0.5 if t1 is None else t1, type=kind, node=1, p=0, **more)


def append(k, v):
    return ["append", k, v]


def read(k, *v):
    return ["r", k, list(v)]


def txn(t0, t1, *value, kind="ok"):
    return op("txn", list(value), t0, t1, kind)


class Case(unittest.TestCase):
    def sees(self, name, kind, ops, final, **options):
        found = {k for k, _ in BY_NAME[name].check(ops, final, **options)}
        self.assertIn(kind, found)

    def good(self, name, ops, final, **options):
        self.assertEqual(BY_NAME[name].check(ops, final, **options), [])


class Lists(Case):
    def cycle(self, kind, *txns, realtime=False):
        g = Graph(list(txns))
        found = {k for k, _ in g.check(realtime)}
        self.assertEqual(found, {kind})

    def test_good(self):
        self.good("list-append", [txn(0, 1, append(1, 1)), txn(2, 3, read(1, 1), append(1, 2)),
                                  txn(2, 3, append(2, 3), kind="info"), txn(2, 3, append(2, 4), kind="fail")],
                  {"1": [1, 2], "2": [3]})

    def test_g0(self):
        # Two transactions write both keys in opposite order.
        self.cycle("G0", txn(0, 9, append(1, 1), append(2, 1)), txn(0, 9, append(1, 2), append(2, 2)),
                   txn(10, 11, read(1, 1, 2), read(2, 2, 1)))

    def test_g1a(self):
        self.cycle("G1a", txn(0, 1, append(1, 1), kind="fail"), txn(2, 3, read(1, 1)))

    def test_g1b(self):
        self.sees("list-append", "G1b", [txn(0, 9, append(1, 1), append(1, 2)), txn(1, 8, read(1, 1))], {"1": [1, 2]})

    def test_g1c(self):
        self.cycle("G1c", txn(0, 9, append(1, 1), read(2, 1)), txn(0, 9, append(2, 1), read(1, 1)))

    def test_g_single(self):
        # Read skew: x before, y after the other's commit.
        self.cycle("G-single", txn(0, 9, read(1), read(2, 1)), txn(0, 9, append(1, 1), append(2, 1)),
                   txn(10, 11, read(1, 1), read(2, 1)))

    def test_lost_update(self):
        self.cycle("G-single", txn(0, 9, read(1), append(1, 1)), txn(0, 9, read(1), append(1, 2)),
                   txn(10, 11, read(1, 1, 2)))

    def test_g2(self):
        # Write skew: each reads what the other writes, before it.
        self.cycle("G2", txn(0, 9, read(1), append(2, 1)), txn(0, 9, read(2), append(1, 1)),
                   txn(10, 11, read(1, 1), read(2, 1)))

    def test_long_fork(self):
        self.cycle("G2", txn(0, 9, append(1, 1)), txn(0, 9, append(2, 1)), txn(0, 9, read(1, 1), read(2)),
                   txn(0, 9, read(1), read(2, 1)))

    def test_stale_read(self):
        stale = [txn(0, 1, append(1, 1)), txn(2, 3, read(1)), txn(4, 5, read(1, 1))]
        self.cycle("G-single-realtime", *stale, realtime=True)
        self.assertEqual(Graph(stale).check(False), [])

    def test_order_against_time(self):
        self.cycle("G0-realtime", txn(0, 1, append(1, 1)), txn(2, 3, append(1, 2)), txn(4, 5, read(1, 2, 1)),
                   realtime=True)

    def test_unknown_never_ends(self):
        # It may take effect at any time later: no order in time follows.
        self.assertEqual(Graph([txn(0, 1, append(1, 1), kind="info"), txn(2, 3, read(1)),
                                txn(4, 5, read(1, 1))]).check(True), [])

    def test_internal(self):
        self.cycle("internal", txn(0, 1, append(1, 1), read(1)))
        self.cycle("internal", txn(0, 1, append(1, 1)), txn(2, 5, read(1, 1), append(1, 2), read(1, 1)),
                   txn(6, 7, read(1, 1, 2)))

    def test_orders(self):
        found = {k for k, _ in Graph([txn(0, 1, append(1, 1)), txn(0, 1, append(1, 2)), txn(0, 1, append(1, 3)),
                                      txn(2, 3, read(1, 2)), txn(2, 3, read(1, 1, 2, 3))]).check(False)}
        self.assertIn("incompatible-order", found)

    def test_duplicate(self):
        self.sees("list-append", "duplicate", [txn(0, 1, append(1, 1))], {"1": [1, 1]})

    def test_unwritten(self):
        self.sees("list-append", "unwritten", [txn(0, 1, append(1, 1))], {"1": [1, 7]})

    def test_lost(self):
        self.sees("list-append", "lost-append", [txn(0, 1, append(1, 1)), txn(0, 1, append(1, 2))], {"1": [1]})


class Registers(unittest.TestCase):
    def test_good(self):
        ops = [op("write", 1, 0, 5), op("read", None, 1, 2), op("read", 1, 3, 4), op("cas", [1, 2, True], 6, 7),
               op("cas", [1, 3, False], 8, 9), op("write", 9, 8, 9, "info"), op("read", 2, 10, 11), op("read", 9, 12, 13),
               op("write", 5, 0, 1, "fail")]
        self.assertIsNone(linear.check(ops))

    def bad(self, *ops):
        self.assertIsNotNone(linear.check(list(ops)))

    def test_stale(self):
        self.bad(op("write", 1, 0, 1), op("write", 2, 2, 3), op("read", 1, 4, 5))

    def test_back(self):
        self.bad(op("write", 1, 0, 1), op("write", 2, 2, 9), op("read", 2, 3, 4), op("read", 1, 5, 6))

    def test_cas_on_old(self):
        self.bad(op("write", 1, 0, 1), op("cas", [1, 2, True], 2, 3), op("cas", [1, 3, True], 4, 5))

    def test_missed_hit(self):
        self.bad(op("write", 1, 0, 1), op("cas", [1, 2, False], 2, 3))

    def test_missed_an_unknown_write(self):
        unknown = op("write", 9, 2, 3, "info")
        self.assertIsNone(linear.check([op("write", 1, 0, 1), unknown, op("cas", [1, 2, False], 4, 5),
                                        op("write", 3, 6, 7), op("read", 3, 8, 9)]))
        self.bad(op("write", 1, 0, 1), op("cas", [1, 2, False], 1.2, 1.5), unknown, op("cas", [1, 4, False], 4, 5))

    def test_failed_write_read(self):
        self.bad(op("write", 1, 0, 1, "fail"), op("read", 1, 2, 3))

    def test_through_the_workload(self):
        found = BY_NAME["register"].check([op("write", 1, 0, 1, k=4)], {})
        self.assertEqual([k for k, _ in found], ["not-linearizable"])


START = [[a, 100] for a in range(12)]


def moved(src, dst, amount):
    return [[a, b - amount * (a == src) + amount * (a == dst)] for a, b in START]


class Banks(Case):
    def final(self, accounts, *ledger):
        return {"accounts": accounts, "ledger": list(ledger)}

    def test_good(self):
        self.good("bank", [op("transfer", [0, 1, 2, 5]), op("transfer", [1, 1, 2, 5], kind="info"),
                           op("audit", START), op("transfer", [2, 3, 4, 1], kind="fail")],
                  self.final(moved(1, 2, 5), [0, 1, 2, 5]))

    def test_bad(self):
        one = [op("transfer", [0, 1, 2, 5])]
        self.sees("bank", "wrong-total", [op("audit", START[:-1] + [[11, 99]])], self.final(START))
        self.sees("bank", "wrong-total", [op("audit", START[:-1])], self.final(START))
        self.sees("bank", "debt", [op("audit", START[:-2] + [[10, 205], [11, -5]])], self.final(START))
        self.sees("bank", "half-transfer", one, self.final(START, [0, 1, 2, 5]))
        self.sees("bank", "lost", one, self.final(START))
        self.sees("bank", "doubled", one, self.final(moved(1, 2, 10), [0, 1, 2, 5], [0, 1, 2, 5]))
        self.sees("bank", "ghost", [op("transfer", [0, 1, 2, 5], kind="fail")], self.final(moved(1, 2, 5), [0, 1, 2, 5]))


class TpcBs(Case):
    def final(self, *history, accounts=None, tellers=None, branches=None):
        total = sum(row[3] for row in history)
        per = [[[n, sum(row[3] for row in history if row[at] == n)] for n in (1, 2)] for at in (1, 2)]
        return {"sums": {"accounts": total if accounts is None else accounts, "history": total},
                "history": list(history), "tellers": tellers or per[0], "branches": branches or per[1]}

    def test_all(self):
        one, row = [op("transfer", "0")], ["0   ", 1, 1, 7]  # char(22) comes padded
        self.good("tpcb", one + [op("transfer", "1", kind="info"), op("transfer", "2", kind="info"),
                                 op("transfer", "3", kind="fail")], self.final(row, ["1", 2, 1, -3]))
        self.sees("tpcb", "wrong-total", one, self.final(row, accounts=0))
        self.sees("tpcb", "half-transfer", one, self.final(row, tellers=[[1, 0], [2, 0]]))
        self.sees("tpcb", "half-transfer", one, self.final(row, branches=[[1, 0], [2, 7]]))
        self.sees("tpcb", "lost", one, self.final())
        self.sees("tpcb", "doubled", one, self.final(row, row))
        self.sees("tpcb", "ghost", [op("transfer", "0", kind="fail")], self.final(row))
        self.sees("tpcb", "ghost", [], self.final(row))


class SetsCase(Case):
    def test_good(self):
        self.good("set", [op("add", 1), op("add3", 2), op("add", 3, kind="info"), op("add", 4, kind="fail"),
                          op("read", [1], 2, 3, table="set_one", **{"from": 0})],
                  {"set_one": [1, 3], "set_three": [2, 2, 2]})

    def test_bad(self):
        empty = {"set_one": [], "set_three": []}
        self.sees("set", "lost", [op("add", 1)], empty)
        self.sees("set", "ghost", [op("add", 1, kind="fail")], {"set_one": [1], "set_three": []})
        self.sees("set", "doubled", [op("add", 1)], {"set_one": [1, 1], "set_three": []})
        self.sees("set", "partial", [op("add3", 1)], {"set_one": [], "set_three": [1, 1]})
        self.sees("set", "unwritten", [], {"set_one": [1], "set_three": []})
        self.sees("set", "stale", [op("add", 1), op("read", [], 2, 3, table="set_one", **{"from": 0})],
                  {"set_one": [1], "set_three": []})


class MonotonicCase(Case):
    final = {"0": 2, "1": 0, "2": 0, "3": 0}

    def test_good(self):
        self.good("monotonic", [op("add", {"0": 1}, 0, 1, keys=[0]), op("add", {"0": 2}, 2, 3, keys=[0]),
                                op("read", {"0": 2}, 4, 5, keys=[0]), op("add", {}, 0, 1, "info", keys=[0])], self.final)

    def test_bad(self):
        add = op("add", {"0": 1}, 0, 1, keys=[0])
        self.sees("monotonic", "lost-update", [add, op("add", {"0": 1}, 0, 1, keys=[0])], self.final)
        self.sees("monotonic", "doubled", [add], self.final)
        self.sees("monotonic", "lost", [op("add", {"0": i}, i, i, keys=[0]) for i in (1, 2, 3)], self.final)
        self.sees("monotonic", "stale", [add, op("add", {"0": 2}, 2, 3, keys=[0]), op("read", {"0": 1}, 4, 5, keys=[0])],
                  self.final)


class Skew(Case):
    def final(self, item=(), predicate=()):
        return {"item": [[0, s, int(s not in item)] for s in (0, 1)], "predicate": [[0, s] for s in predicate]}

    def test_good(self):
        self.good("write-skew", [op("item", [0, 0, True]), op("item", [0, 1, False]), op("predicate", [0, 1, True])],
                  self.final([0], [1]))

    def test_bad(self):
        self.sees("write-skew", "G2-item", [], self.final([0, 1]))
        self.sees("write-skew", "G2-predicate", [], self.final([], [0, 1]))
        self.sees("write-skew", "lost", [op("item", [0, 0, True])], self.final())
        self.sees("write-skew", "ghost", [op("predicate", [0, 0, None], kind="fail")], self.final([], [0]))


class Forks(Case):
    def test_good(self):
        self.good("long-fork", [op("write", 0), op("write", 1), op("read", [0], 0, 9, group=0),
                                op("read", [0, 1], 0, 9, group=0)], [0, 1])

    def test_bad(self):
        self.sees("long-fork", "long-fork", [op("write", 0, 0, 9), op("write", 1, 0, 9), op("read", [0], 0, 9, group=0),
                                             op("read", [1], 0, 9, group=0)], [0, 1])
        self.sees("long-fork", "stale", [op("write", 0, 0, 1), op("read", [], 2, 3, group=0)], [0])
        self.sees("long-fork", "lost", [op("write", 0)], [])
        self.sees("long-fork", "ghost", [op("write", 0, kind="fail")], [0])


class Uniques(Case):
    def final(self, *rows, index=None):
        return {"table": [list(r) for r in rows], "index": [[u] for u in (index or [u for _, u in rows])]}

    def test_good(self):
        self.good("unique", [op("insert", [0, 0], count=1), op("insert", [1, 0], kind="fail", error="23505")],
                  self.final([0, 0]))

    def test_bad(self):
        self.sees("unique", "doubled", [], self.final([0, 0], [1, 0]))
        self.sees("unique", "lost", [op("insert", [0, 0], count=1)], self.final())
        self.sees("unique", "ghost", [op("insert", [0, 0], kind="fail", error="40001")], self.final([0, 0]))
        self.sees("unique", "false-refusal", [op("insert", [0, 0], kind="fail", error="23505")], self.final())
        self.sees("unique", "index-differs", [], self.final([0, 0], index=[0, 1]))


class Keys(Case):
    def final(self, parents, children, indexed=None):
        return {"parents": parents, "children": children, "indexed": children if indexed is None else indexed}

    def test_good(self):
        self.good("foreign-key", [op("child", 0), op("delete", 0, kind="fail", error="23503"), op("delete", 1)],
                  self.final([0], [0]))

    def test_bad(self):
        self.sees("foreign-key", "orphan", [], self.final([], [0]))
        self.sees("foreign-key", "lost", [op("child", 0)], self.final([0], []))
        self.sees("foreign-key", "lost", [op("delete", 0)], self.final([0], []))
        self.sees("foreign-key", "ghost", [op("child", 0, kind="fail")], self.final([0], [0]))
        self.sees("foreign-key", "ghost", [op("delete", 0, kind="fail")], self.final([], []))
        self.sees("foreign-key", "false-refusal", [op("delete", 0, kind="fail", error="23503")], self.final([0], []))
        self.sees("foreign-key", "index-differs", [], self.final([0], [0], []))


class Indexes(Case):
    def final(self, rows, g=None, entries=None):
        return {"table": rows, "g": rows if g is None else g, "u": rows,
                "entries": entries if entries is not None else [[r[1]] for r in rows]}

    def test_all(self):
        rows = [[0, 1, 7]]
        self.good("index", [op("read", {"index": rows, "table": [(0, 1, 7)]}, g=1)], self.final(rows))
        self.sees("index", "index-differs", [op("read", {"index": [], "table": rows}, g=1)], self.final(rows))
        self.sees("index", "index-differs", [], self.final(rows, g=[]))
        self.sees("index", "index-differs", [], self.final(rows, entries=[[1], [2]]))


class Dirts(Case):
    def test_all(self):
        ops = [op("write", 1, undo=False), op("write", 2, undo=True), op("write", 3, undo=False, kind="fail")]
        self.good("dirty", ops + [op("read", [-1] * 5)], [1] * 5)
        self.sees("dirty", "G1a", ops, [2] * 5)
        self.sees("dirty", "G1a", ops + [op("read", [3] * 5)], [1] * 5)
        self.sees("dirty", "partial", ops, [1, 1, 1, -1, 1])
        self.sees("dirty", "partial", ops, [1] * 4)


if __name__ == "__main__":
    sys.exit(unittest.main())
