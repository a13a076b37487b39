"""Dependency graphs of list-append histories (after Kingsbury and Alvaro, "Elle", VLDB 2020).

A transaction is a list of micro-operations ["append", key, element] and ["r", key, list]. Elements are unique. The
longest list that was read of a key gives the order of its versions; from it follow the edges
    ww  x's writer before the writer of the next element
    wr  the writer of a list's last element before its reader
    rw  the reader of a list before the writer of the next element (anti-dependency)
    rt  ended before the other began (real time)
A cycle is an anomaly, named by what it is made of:
    G0 ww only; G1c ww and wr; G-single exactly one rw; G2 two or more rw; with "-realtime" when it needs rt edges.
Beside cycles: G1a (read of an aborted element), G1b (read of an intermediate version), internal (a transaction does
not see its own), duplicate, incompatible order, unwritten, lost append (acknowledged, and in no later list).

Transactions with unknown outcome count as committed once an element of theirs was read; they never end.
"""
from collections import deque

WW, WR, RW, RT = 1, 2, 4, 8
NAMES = {WW: "ww", WR: "wr", RW: "rw", RT: "rt"}


def _components(n, edges, mask):
    """Strongly connected components with more than one member (Tarjan, without recursion)."""
    index, low, on, stack, out = [0] * n, [0] * n, [False] * n, [], []
    counter = 0
    for root in range(n):
        if index[root]:
            continue
        counter += 1
        index[root] = low[root] = counter
        stack.append(root)
        on[root] = True
        work = [(root, iter(edges[root].items()))]
        while work:
            v, it = work[-1]
            for w, kind in it:
                if not kind & mask:
                    continue
                if not index[w]:
                    counter += 1
                    index[w] = low[w] = counter
                    stack.append(w)
                    on[w] = True
                    work.append((w, iter(edges[w].items())))
                    break
                if on[w]:
                    low[v] = min(low[v], index[w])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[v])
                if low[v] == index[v]:
                    members = []
                    while True:
                        w = stack.pop()
                        on[w] = False
                        members.append(w)
                        if w == v:
                            break
                    if len(members) > 1:
                        out.append(members)
    return out


def _path(edges, members, start, goal, mask):
    """Shortest path over edges of the mask inside the component; None when there is none."""
    inside, before, queue = set(members), {start: None}, deque([start])
    while queue:
        v = queue.popleft()
        if v == goal:
            path = []
            while v is not None:
                path.append(v)
                v = before[v]
            return path[::-1]
        for w, kind in edges[v].items():
            if kind & mask and w in inside and w not in before:
                before[w] = v
                queue.append(w)
    return None


class Graph:
    def __init__(self, txns):
        """txns: dicts with type, t0, t1, value (list of micro-operations)."""
        self.txns = txns
        self.anomalies = []  # (kind, text)
        self.order = {}
        self.writer = {}
        self.edges = None
        self.count = 0

    def bad(self, kind, text):
        self.anomalies.append((kind, text))

    def check(self, realtime=True, final_keys=()):
        self._writers()
        self._orders()
        self._reads()
        self._lost(set(final_keys))
        self._edges(realtime)
        self._cycles(realtime)
        return self.anomalies

    def _writers(self):
        self.last_of = {}  # (txn, key) -> its last element of the key
        for i, t in enumerate(self.txns):
            for f, k, v in t["value"]:
                if f == "append":
                    assert (k, v) not in self.writer, "elements are unique"
                    self.writer[k, v] = i
                    self.last_of[i, k] = v

    def _orders(self):
        for t in self.txns:
            if t["type"] != "ok":
                continue
            for f, k, v in t["value"]:
                if f == "r" and len(v) > len(self.order.get(k, ())):
                    self.order[k] = v

    def _reads(self):
        for i, t in enumerate(self.txns):
            if t["type"] != "ok":
                continue
            seen, own = {}, {}
            for f, k, v in t["value"]:
                if f == "append":
                    own.setdefault(k, []).append(v)
                    continue
                mine = own.get(k, [])
                if k in seen and v != seen[k] + mine:
                    self.bad("internal", f"T{i} read {v} of {k} after {seen[k]} and own {mine}")
                elif mine and v[-len(mine):] != mine:
                    self.bad("internal", f"T{i} read {v} of {k} without its own {mine}")
                seen[k], own[k] = v, []
                order = self.order[k] if v else ()
                if v != list(order[:len(v)]):
                    self.bad("incompatible-order", f"T{i} read {v} of {k}, another read {order}")
                if len(set(v)) != len(v):
                    self.bad("duplicate", f"T{i} read an element of {k} twice: {v}")
                for e in v:
                    w = self.writer.get((k, e))
                    if w is None:
                        self.bad("unwritten", f"T{i} read {e} of {k}, which nobody wrote")
                    elif self.txns[w]["type"] == "fail":
                        self.bad("G1a", f"T{i} read {e} of {k}, written by T{w} which was told it failed")
                if v:
                    w = self.writer.get((k, v[-1]))
                    if w is not None and w != i and self.last_of[w, k] != v[-1]:
                        self.bad("G1b", f"T{i} read {v} of {k}: an intermediate version of T{w}")

    def _lost(self, final_keys):
        for (k, e), w in self.writer.items():
            if k in final_keys and self.txns[w]["type"] == "ok" and e not in self.order.get(k, ()):
                self.bad("lost-append", f"T{w} appended {e} to {k}, was told ok; it is not there")

    def _edges(self, realtime):
        n = len(self.txns)
        self.edges = [dict() for _ in range(n)]
        seen = set()
        for k, order in self.order.items():
            for e in order:
                seen.add(self.writer.get((k, e)))
        alive = [t["type"] == "ok" or (t["type"] == "info" and i in seen) for i, t in enumerate(self.txns)]

        def add(a, b, kind):
            if a is not None and b is not None and a != b and alive[a] and alive[b]:
                self.edges[a][b] = self.edges[a].get(b, 0) | kind

        position = {}
        for k, order in self.order.items():
            for at, e in enumerate(order):
                position[k, e] = at
                if at:
                    add(self.writer.get((k, order[at - 1])), self.writer.get((k, e)), WW)
        for i, t in enumerate(self.txns):
            if t["type"] != "ok":
                continue
            for f, k, v in t["value"]:
                if f != "r":
                    continue
                outside = list(v)
                while outside and self.writer.get((k, outside[-1])) == i:
                    outside.pop()
                if outside:
                    add(self.writer.get((k, outside[-1])), i, WR)
                at = position.get((k, outside[-1]), -1) + 1 if outside else 0
                order = self.order.get(k, ())
                if at < len(order):
                    add(i, self.writer.get((k, order[at])), RW)
        self.count = sum(len(x) for x in self.edges)
        if realtime:
            self._realtime(alive, add)

    def _realtime(self, alive, add):
        """Edges from what ended last before a beginning; the others follow by transitivity."""
        events = []
        for i, t in enumerate(self.txns):
            if alive[i]:
                events.append((t["t0"], 1, i))
                if t["type"] == "ok":
                    events.append((t["t1"], 0, i))
        # At equal times a beginning comes first: no order is claimed that was not seen.
        events.sort(key=lambda e: (e[0], -e[1]))
        frontier, before = set(), {}
        for _, is_begin, i in events:
            if is_begin:
                before[i] = set(frontier)
                for a in frontier:
                    add(a, i, RT)
            else:
                frontier -= before.pop(i)
                frontier.add(i)

    def _cycle_text(self, path):
        parts = []
        for a, b in zip(path, path[1:]):
            kinds = [name for bit, name in NAMES.items() if self.edges[a].get(b, 0) & bit]
            parts.append(f"T{a} -{'/'.join(kinds)}->")
        text = " ".join(parts) + f" T{path[-1]}"
        for i in dict.fromkeys(path):
            t = self.txns[i]
            text += f"\n      T{i} {t['type']} [{t['t0']:.6f}, {t['t1']:.6f}] node {t.get('node')}: {t['value']}"
        return text

    def _cycles(self, realtime):
        n, known = len(self.txns), set()
        for suffix, extra in (("", 0), ("-realtime", RT)) if realtime else (("", 0),):
            for kind, mask in (("G0", WW), ("G1c", WW | WR)):
                for members in _components(n, self.edges, mask | extra):
                    if known.isdisjoint(members):
                        known.update(members)
                        self._report(kind + suffix, members, mask | extra)
            for members in _components(n, self.edges, WW | WR | RW | extra):
                if not known.isdisjoint(members):
                    continue
                known.update(members)
                single, inside = None, set(members)
                for a in members:
                    for b, kind in self.edges[a].items():
                        if kind & RW and b in inside:
                            path = _path(self.edges, members, b, a, WW | WR | extra)
                            if path is not None and (single is None or len(path) + 1 < len(single)):
                                single = [a] + path
                if single is not None:
                    self.bad("G-single" + suffix, self._cycle_text(single))
                else:
                    self._report("G2" + suffix, members, WW | WR | RW | extra)

    def _report(self, kind, members, mask):
        best = None
        for a in members[:200]:
            for b, k in self.edges[a].items():
                if k & mask and b in members:
                    path = _path(self.edges, members, b, a, mask)
                    if path is not None and (best is None or len(path) + 1 < len(best)):
                        best = [a] + path
        self.bad(kind, self._cycle_text(best))
