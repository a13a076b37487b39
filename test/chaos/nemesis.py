"""The faults. Each is a function of a Faults object; it does harm and heals it in turns until it is told to stop, and
leaves behind what it measured in figures. What is still broken at the end heals with the cluster (Cluster.heal).
"""
import concurrent.futures
import statistics
import time

import psycopg2

import client


class Faults:
    def __init__(self, cluster, history, stop, rng, figures):
        self.cluster, self.history, self.stop, self.rng, self.figures = cluster, history, stop, rng, figures
        self.turn = 0

    def sleep(self, low, high=None):
        """True while it is not yet time to stop."""
        self.stop.wait(low if high is None else self.rng.uniform(low, high))
        return not self.stop.is_set()

    def note(self, text):
        self.history.note(text)

    def count(self, what, by=1):
        self.figures[what] = self.figures.get(what, 0) + by

    def add(self, what, seconds):
        self.figures.setdefault(what, []).append(seconds)

    def victim(self, kinds):
        """The next kind in turn, and a node of it."""
        kind = kinds[self.turn % len(kinds)]
        self.turn += 1
        c, number = self.cluster, None
        if kind in ("leader", "metadata"):
            number = c.leader(kind, self.rng)
        elif kind == "router" and c.only_routers:
            number = self.rng.choice(c.only_routers).number
        elif kind == "follower":
            lead = {c.leader("metadata", self.rng), c.leader("leader", self.rng)}
            rest = [n.number for n in c.storage if n.number not in lead]
            number = self.rng.choice(rest) if rest else None
        if number is None:
            kind, number = kind + " (any)", self.rng.choice(c.storage).number
        return kind, c.node(number)


def kill_cycle(x):
    while x.sleep(1, 2):
        kind, node = x.victim(("one", "leader", "metadata", "router"))
        x.note(f"kill {node.number} ({kind})")
        node.kill()
        x.count("kills")
        x.sleep(0.3, 2.5)
        x.note(f"start {node.number}")
        node.start()
        x.add("restart s", x.cluster.wait_ready(30, [node]))


KILLS_OF_ALL = 100


def kill_all(x):
    while x.figures.get("kills of all", 0) < KILLS_OF_ALL and x.sleep(0.5, 1.5):
        x.note("kill all")
        for n in x.cluster.nodes:
            n.kill()
        for n in x.cluster.nodes:
            n.start()
        x.count("kills of all")
        x.add("restart s", x.cluster.wait_ready(30))


def pause(x):
    while x.sleep(1, 2):
        kind, node = x.victim(("leader", "follower", "router", "metadata"))
        seconds = min(30.0, max(1.0, x.rng.expovariate(0.25)))
        x.note(f"pause {node.number} ({kind}) for {seconds:.1f} s")
        node.pause()
        x.count("pauses")
        x.sleep(seconds)
        x.note(f"resume {node.number}")
        node.resume()


# ---- network ----

def _isolate(x, numbers):
    net, all_nodes = x.cluster.net, [n.number for n in x.cluster.nodes]
    for a in numbers:
        for b in all_nodes:
            if b not in numbers:
                net.cut_both(a, b)


def _partition(x, kind):
    c, rng = x.cluster, x.rng
    net, storage = c.net, [n.number for n in c.storage]
    everyone = [n.number for n in c.nodes]
    if kind == "isolate one":
        _isolate(x, [rng.choice(storage)])
    elif kind in ("isolate leader", "isolate metadata"):
        _isolate(x, [c.leader("leader" if kind.endswith("leader") else "metadata", rng) or storage[0]])
    elif kind == "halves":
        _isolate(x, rng.sample(storage, len(storage) // 2))
    elif kind == "bridge":
        # Two halves that see each other only through one node.
        order = rng.sample(storage, len(storage))
        middle = len(order) // 2
        for a in order[:middle]:
            for b in order[middle + 1:]:
                net.cut_both(a, b)
    elif kind == "ring":
        # Each sees its two neighbours: every node a majority of five, and no two the same one.
        order = rng.sample(storage, len(storage))
        for i, a in enumerate(order):
            for d in range(2, len(order) - 1):
                net.cut(a, order[(i + d) % len(order)], "in")
    elif kind == "one-way in":
        a = c.leader("leader", rng) or storage[0]
        for b in everyone:
            if b != a:
                net.cut(a, b, "in")
    elif kind == "one-way out":
        a = c.leader("leader", rng) or storage[0]
        for b in everyone:
            if b != a:
                net.cut(b, a, "in")
    elif kind == "router from some":
        a = rng.choice(everyone)
        for b in rng.sample([s for s in storage if s != a], len(storage) // 2):
            net.cut_both(a, b)


PARTITIONS = ("isolate one", "isolate leader", "halves", "bridge", "isolate metadata", "ring", "one-way in",
              "one-way out", "router from some")


def partition(x):
    while x.sleep(1.5, 3):
        kind = PARTITIONS[x.turn % len(PARTITIONS)]
        x.turn += 1
        x.note(f"partition: {kind}")
        _partition(x, kind)
        x.count("partitions")
        x.sleep(2, 5)
        x.note("heal")
        x.cluster.net.heal()


def swizzle(x):
    net = x.cluster.net
    while x.sleep(2, 3):
        everyone = [n.number for n in x.cluster.nodes]
        some = x.rng.sample(everyone, x.rng.randint(2, len(everyone)))
        x.count("swizzles")
        for a in some:
            x.note(f"clog {a}")
            _isolate(x, [a])
            x.sleep(0.3, 1)
        for a in x.rng.sample(some, len(some)):
            x.note(f"unclog {a}")
            for b in everyone:
                if b != a:
                    net.mend(a, b)
                    net.mend(b, a)
            x.sleep(0.3, 1)
        net.heal()


def slow_follower(x):
    """A follower is away, returns behind a narrow line, and catches up; the others are not disturbed by it."""
    c = x.cluster
    while x.sleep(1):
        _, node = x.victim(("follower",))
        x.note(f"kill {node.number}, narrow line")
        node.kill()
        x.sleep(4, 6)
        elections = sum(n.metric("sherd_raft_elections_won_total") or 0 for n in c.nodes if n is not node)
        c.net.limit(node.number, "1mbit")
        node.start()
        begin = time.monotonic()
        x.count("returns")
        if not x.sleep(6, 8):
            return
        lag = _lag(c, node.number)
        if lag is not None:
            x.figures["lag behind 1 Mbit/s"] = max(lag, x.figures.get("lag behind 1 Mbit/s", 0))
        after = sum(n.metric("sherd_raft_elections_won_total") or 0 for n in c.nodes if n is not node)
        x.count("elections meanwhile", after - elections)
        x.note(f"wide line for {node.number}")
        c.net.limit(node.number, None)
        while x.sleep(0.1):
            lag = _lag(c, node.number)
            if lag is not None and lag < 100:
                x.add("caught up s", time.monotonic() - begin)
                break


def _lag(cluster, number):
    s = cluster.status()
    if s is None:
        return None
    last = {}
    for n in s["nodes"]:
        for r in n.get("replicas", ()):
            last[r["shard"]] = max(last.get(r["shard"], 0), r["last"])
    lag = None
    for n in s["nodes"]:
        if n["node"] == number:
            for r in n.get("replicas", ()):
                lag = max(lag or 0, last[r["shard"]] - r["applied"])
    return lag


def lost_replies(x):
    """Requests arrive and are done, answers do not: first silence, then a reset. Clients and routers must not take
    that for a failure, nor do it again blindly."""
    net, c = x.cluster.net, x.cluster
    while x.sleep(0.5, 1.5):
        node = x.rng.choice(c.nodes)
        others = [n.number for n in c.nodes if n is not node]
        peers = [0] if x.rng.random() < 0.5 else others
        x.note(f"answers of {node.number} to {'clients' if peers == [0] else 'nodes'} are lost")
        for p in peers:
            net.cut(node.number, p, "out")
        x.count("silences")
        x.sleep(0.2, 1.5)
        if x.rng.random() < 0.7:
            # Retransmissions would bring the answers after all: end the connections instead.
            for p in peers:
                net.mend(node.number, p)
                net.cut(node.number, p, "in", "meta l4proto tcp reject with tcp reset")
            x.sleep(0.1, 0.3)
        net.heal()


# ---- disks ----

def power_loss(x):
    c = x.cluster
    while x.sleep(1, 2):
        x.turn += 1
        nodes = list(c.storage) if x.turn % 2 == 0 else [x.rng.choice(c.storage)]
        x.note(f"power loss of {[n.number for n in nodes]}")
        for n in nodes:
            c.disks[n.number].power_cut()
        for n in nodes:
            n.kill()
            c.disks[n.number].power_on()
        x.sleep(0, 1)
        for n in nodes:
            n.start()
        x.count("power losses of all" if len(nodes) > 1 else "power losses of one")
        x.add("restart s", c.wait_ready(60, nodes))


def disk_full(x):
    c = x.cluster
    while x.sleep(1, 2):
        _, node = x.victim(("leader", "follower", "metadata"))
        disk = c.disks[node.number]
        x.note(f"disk of {node.number} is full")
        disk.fill()
        x.count("full disks")
        x.sleep(4, 6)
        x.note(f"disk of {node.number} has space again ({'up' if node.is_up else 'process has ended'})")
        disk.free()
        if not node.is_up:
            x.count("processes that ended")
            node.restart_after_fault()
            x.add("restart s", c.wait_ready(30, [node]))


def slow_disk(x):
    """A disk that hangs for seconds; one that stops for 100 ms at a time; one whose syncs take long."""
    c = x.cluster
    while x.sleep(1, 2):
        kind, node = x.victim(("leader", "follower", "leader", "metadata"))
        disk, what = c.disks[node.number], ("sync", "hang", "pulses")[x.turn % 3]
        seconds = x.rng.uniform(2, 6)
        if what == "hang":
            x.note(f"disk of {node.number} ({kind}) hangs")
            disk.freeze()
            x.sleep(seconds)
            disk.thaw()
        elif what == "sync":
            ms = x.rng.choice((5, 20, 50, 100, 200, 500))
            x.note(f"each sync of {node.number} ({kind}) takes {ms} ms more")
            node.set_failpoints(f"disk.sync=delay:{ms}")
            x.sleep(seconds)
            node.set_failpoints("")
        else:
            x.note(f"disk of {node.number} ({kind}) is slow")
            end = time.monotonic() + seconds
            while time.monotonic() < end and not x.stop.is_set():
                disk.freeze()
                x.stop.wait(0.1)
                disk.thaw()
                x.stop.wait(0.05)
        x.count({"hang": "hangs", "sync": "slow syncs", "pulses": "pulses of hangs"}[what])
        x.note(f"disk of {node.number} is well")
        if not node.is_up:
            x.count("processes that ended")
            node.restart_after_fault()


def failing_disk(x):
    """fdatasync and fsync answer EIO from one moment on (libfiu). The process must end, and must not acknowledge
    anything after."""
    c = x.cluster
    while x.sleep(1, 2):
        kind, node = x.victim(("leader", "follower", "metadata"))
        x.note(f"fsync of {node.number} ({kind}) fails")
        begin = time.monotonic()
        node.inject("enable name=posix/io/sync/fsync,failinfo=5", "enable name=posix/io/sync/fdatasync,failinfo=5")
        x.count("failing disks")
        while node.is_up and time.monotonic() < begin + 15:
            time.sleep(0.01)
        if node.is_up:
            x.count("still up 15 s after EIO")
            x.note(f"{node.number} goes on with a disk that cannot sync")
            node.kill()
        else:
            x.add("ended after EIO s", time.monotonic() - begin)
            x.note(f"{node.number} ended")
        x.sleep(0.5, 1.5)
        node.restart_after_fault()
        x.add("restart s", c.wait_ready(30, [node]))


# ---- clocks ----

def clocks(x):
    while x.sleep(0.5, 2):
        node = x.rng.choice(x.cluster.nodes)
        text = x.rng.choice(("+3600", "-3600", "+0 x2", "+0 x0.5", "+5", "-5", "+0"))
        x.note(f"clock of {node.number}: {text}")
        node.set_clock(text)
        x.count("clock changes")
        x.sleep(0.3)
        session = client.Session(node, 5)
        try:
            session.connect()
            off = session.sql("SELECT extract(epoch FROM clock_timestamp())")[0][0]
            x.figures["furthest clock s"] = max(abs(float(off) - time.time()), x.figures.get("furthest clock s", 0))
        finally:
            session.close()


KEYED = (("bank_h", "id"), ("bank_r", "id"), ("dirt", "k"), ("mono", "k"), ("la_h", "k"), ("la_r", "k"))


def _lock_all(x, node, table, key):
    others = [n for n in x.cluster.nodes if n is not node and n.is_up]
    session = client.Session(x.rng.choice(others), 30)
    try:
        session.connect()
        for row in session.sql(f"SELECT {key} FROM {table}"):
            while not x.stop.is_set():
                try:
                    session.sql(f"SELECT 1 FROM {table} WHERE {key} = %s FOR UPDATE", row)
                    break
                except psycopg2.Error as e:
                    if e.pgcode not in ("40001", "40P01"):
                        raise
    finally:
        session.close()


def _lock_everything(x, node):
    """Seconds until every row of every table with a key could be locked through another node, row by row: no
    transaction of a node that died is in the way any more. (Live ones are, for milliseconds.)"""
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(KEYED)) as pool:
        for f in [pool.submit(_lock_all, x, node, *k) for k in KEYED]:
            f.result()
    return time.monotonic() - begin


DEATHS = ("coordinator.sent", "coordinator.prepared", "coordinator.told", "shard.prepare", "shard.finalize",
          "shard.commit", "shard.write")


def dying_coordinator(x):
    """A node dies at a chosen moment of a commit, and is away for a while."""
    c = x.cluster
    while x.sleep(0.5, 1):
        point = DEATHS[x.turn % len(DEATHS)]
        x.turn += 1
        number = None if point.startswith("coordinator") else c.leader("leader", x.rng)
        node = c.node(number) if number is not None else x.rng.choice(c.nodes)
        usual = _lock_everything(x, node)
        node.set_failpoints(f"{point}=kill:{x.rng.randint(1, 40)}")
        end = time.monotonic() + 10
        while node.is_up and time.monotonic() < end and not x.stop.is_set():
            time.sleep(0.005)
        if node.is_up:
            x.count("points not reached")
            node.set_failpoints("")
            continue
        node.take_fall()
        x.note(f"{node.number} died at {point}")
        x.count("died at " + point)
        seconds = _lock_everything(x, node)
        if not x.stop.is_set():
            x.add("locks clear s", seconds)
            x.add("the same without a death s", usual)
            x.note(f"its locks are gone after {seconds:.2f} s")
        node.set_failpoints("")
        node.start()
        x.add("restart s", c.wait_ready(30, [node]))


def none(x):
    x.stop.wait()


def summary(figures):
    out = []
    for name, v in figures.items():
        if isinstance(v, list):
            out.append(f"{name}: median {statistics.median(v):.2f}, max {max(v):.2f}")
        else:
            out.append(f"{name}: {v:.0f}")
    return "; ".join(out)
