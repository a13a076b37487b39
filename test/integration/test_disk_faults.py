#!/usr/bin/python3
"""Disks that fill up, fail, lose power and rot, below a running three-node cluster with a client that writes.

Never: an acknowledged row lost, a row that was never written, a damaged replica that serves. What is refused says so
with 53100; a server that cannot go on ends and names the file and the remedy; the others go on meanwhile.

Full and failing disks need root, to mount; as another user those cases are skipped, and the test says so.

usage: test_disk_faults.py [part of the names of the cases]
"""
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

import grpc
import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
from disk import Disk  # noqa: E402

from cluster import Cluster, query  # noqa: E402
from server import await_that, expect, expect_text, metric, run_cases  # noqa: E402

DISK_MB = 320
RESERVE_MB = 128  # storage.reserve_mb's default
RNG = random.Random(6)


class Disks(Cluster):
    """A cluster whose nodes' data directories are file systems of their own."""

    def __init__(self, kind):
        super().__init__(3)
        self.kind, self.disks = kind, {}

    def __enter__(self):
        try:
            for n in (1, 2, 3):
                node = os.path.join(self.dir, f"node{n}")
                os.makedirs(node)
                image = os.path.join(self.dir, f"disk{n}") if self.kind == "ext4" else None
                self.disks[n] = Disk(os.path.join(node, "data"), image, DISK_MB)
        except Exception:
            self.__exit__(None, None, None)
            raise
        return super().__enter__()

    def __exit__(self, kind, value, trace):
        self.cli("local", "down", "--dir", self.dir, check=False)
        for d in self.disks.values():
            d.destroy()
        super().__exit__(kind, value, trace)


class Writer(threading.Thread):
    """Inserts at whatever node answers; keeps what was acknowledged, what may be there, and which errors came."""

    def __init__(self, cluster, nodes=(1, 2, 3), start=0, payload=100):
        super().__init__(daemon=True)
        self.cluster, self.nodes, self.next, self.payload = cluster, nodes, start, payload
        self.acknowledged, self.unknown, self.states, self.last = set(), set(), {}, 0.0
        self.stop = False
        self.start()

    def run(self):
        conn, turn = None, 0
        while not self.stop:
            n = self.next
            try:
                if conn is None:
                    turn += 1
                    conn = self.cluster.connect(self.nodes[turn % len(self.nodes)])
            except psycopg2.Error:
                continue
            self.next += 1
            try:
                query(conn, "INSERT INTO kept VALUES (%s, %s)", (n, "x" * self.payload))
                self.acknowledged.add(n)
                self.last = time.monotonic()
            except psycopg2.Error as e:
                self.states[e.pgcode] = self.states.get(e.pgcode, 0) + 1
                if e.pgcode is None or e.pgcode == "08007":
                    self.unknown.add(n)
                if conn.closed or e.pgcode is None or e.pgcode.startswith(("08", "57P")):
                    conn.close()
                    conn = None

    def await_progress(self, what, seconds=30):
        """Something that began from now on is acknowledged."""
        n = self.next + 1
        await_that(lambda: any(a >= n for a in list(self.acknowledged)[-50:]) or max(self.acknowledged, default=0) >= n,
                   what, seconds)

    def end(self):
        self.stop = True
        self.join(60)
        expect(not self.is_alive(), "the writer hangs")


def check_rows(conn, *writers):
    have = {r[0] for r in query(conn, "SELECT a FROM kept WHERE a >= 0")}
    acknowledged = set().union(*(w.acknowledged for w in writers))
    unknown = set().union(*(w.unknown for w in writers))
    expect(not acknowledged - have, f"{len(acknowledged - have)} of {len(acknowledged)} acknowledged rows are lost")
    expect(not have - acknowledged - unknown, f"{len(have - acknowledged - unknown)} rows that were refused are there")
    return len(acknowledged)


def make_table(c):
    conn = c.connect(1)
    query(conn, "CREATE TABLE kept (a int PRIMARY KEY, t text)")
    conn.close()


def lead(c, node):
    """Makes the node the leader of the first shard, by gRPC."""
    def is_leader():
        if c.shard_leader(2, node) == node:
            return True
        with grpc.insecure_channel(f"127.0.0.1:{c.sql_port(node) + 1}") as channel:
            body = bytes([0x08, 2, 0x10, node])  # shard_id, node_id
            with contextlib.suppress(grpc.RpcError):
                channel.unary_unary("/sherd.v1.Admin/TransferLeader", bytes, bytes)(body, timeout=10)
        return False
    await_that(is_leader, f"node {node} leads shard 2", 30)


def http(c, node):
    return c.sql_port(node) + 3


def is_low(c, node):
    return metric(http(c, node), "sherd_low_on_space") == 1


# ---- full ----

def full_one():
    """The leader's disk is nearly full: others lead, writes go on everywhere; it comes back by itself."""
    with Disks("tmpfs") as c:
        make_table(c)
        w = Writer(c)
        w.await_progress("the first write")
        leader = c.shard_leader()
        c.disks[leader].fill((RESERVE_MB - 16) << 20)
        await_that(lambda: is_low(c, leader), "the server sees it")
        await_that(lambda: c.shard_leader() not in (0, leader), "another node leads")
        w.await_progress("a write beside a nearly full disk")
        conn = c.connect(leader)  # its router serves
        query(conn, "INSERT INTO kept VALUES (-1, '')")
        c.disks[leader].free()
        await_that(lambda: not is_low(c, leader), "the server sees the space")
        lead(c, leader)
        w.await_progress("a write after space was freed")
        w.end()
        n = check_rows(conn, w)
        expect("53100" not in w.states or w.states["53100"] < n / 2, f"errors: {w.states}")
        return f"{n} rows, errors {w.states}"


def full_all():
    """Every disk is nearly full: writes get 53100, reads and DROP are served, and all goes on once there is space."""
    with Disks("tmpfs") as c:
        make_table(c)
        w = Writer(c)
        w.await_progress("the first write")
        query(c.connect(1), "CREATE TABLE large (a int PRIMARY KEY)")
        for d in c.disks.values():
            d.fill((RESERVE_MB - 16) << 20)
        await_that(lambda: w.states.get("53100", 0) > 10, "writes are refused with 53100")
        for node in (1, 2, 3):
            conn = c.connect(node)
            try:
                query(conn, "INSERT INTO kept VALUES (-1, '')")
                raise AssertionError("a write is taken")
            except psycopg2.Error as e:
                expect(e.pgcode == "53100", f"{e.pgcode}: {e}")
                expect_text(str(e), "space", "HINT", "data_dir")
            expect(query(conn, "SELECT count(*) > 0 FROM kept") == [(True,)], "no rows")
        query(c.connect(2), "DROP TABLE large")
        refused = len(w.acknowledged)
        for d in c.disks.values():
            d.free()
        w.await_progress("writes after space was freed")
        w.end()
        n = check_rows(c.connect(3), w)
        return f"{refused} rows before, {n} after, errors {w.states}"


def full_to_the_last_byte():
    """A follower's disk has no byte left: the server ends and says why, refuses to start, and after that catches up."""
    with Disks("tmpfs") as c:
        make_table(c)
        lead(c, 1)
        w = Writer(c, nodes=(1, 2), payload=3000)
        w.await_progress("the first write")
        pid = c.pid(3)
        await_that(lambda: c.disks[3].fill(0) or not os.path.exists(f"/proc/{pid}") or
                   open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z",
                   "the server on the full disk ends", 60)
        with open(os.path.join(c.dir, "node3", "output"), errors="replace") as f:
            said = f.read()
        expect_text(said, "no space left", "data/")
        w.await_progress("a write without it")
        c.disks[3].fill(0)  # what the process had open and unlinked is free again
        r = c.cli("local", "start", "3", "--dir", c.dir, check=False)
        expect(r.returncode != 0, "it starts on a full disk")
        expect_text(r.stdout + r.stderr, "space", "data", "hint")
        c.disks[3].free()
        c.start(3)
        lead(c, 3)
        w.end()
        return f"{check_rows(c.connect(3), w)} rows, errors {w.states}"


# ---- failing ----

def failing_leader():
    """fsync fails under the leader: it never acknowledges again, ends, and is back after its disk is."""
    with Disks("ext4") as c:
        make_table(c)
        w = Writer(c)
        w.await_progress("the first write")
        leader = c.shard_leader()
        pid = c.pid(leader)
        cut = time.monotonic()
        c.disks[leader].power_cut()
        await_that(lambda: not os.path.exists(f"/proc/{pid}"), "the server with the failing disk ends", 60)
        ended = time.monotonic() - cut
        with open(os.path.join(c.dir, f"node{leader}", "output"), errors="replace") as f:
            text = f.read()
        # Log and state lie on it: whichever meets it first.
        expect("data/raft" in text or "data/state" in text, f"no store is named in:\n{text}")
        expect_text(text, "Input/output error")
        w.await_progress("a write without it")
        gap = w.last - cut
        c.disks[leader].power_on()
        c.start(leader)
        lead(c, leader)
        w.end()
        return f"{check_rows(c.connect(leader), w)} rows, ended after {ended:.1f} s, gap below {gap:.1f} s, errors {w.states}"


def power_loss(rounds=2):
    """The power of all nodes goes at once, several times."""
    def run():
        with Disks("ext4") as c:
            make_table(c)
            writers = []
            for _ in range(rounds):
                w = Writer(c, start=len(writers) * 1000000)
                writers.append(w)
                w.await_progress("a write", 60)
                time.sleep(RNG.uniform(0.2, 1.5))  # the power goes at any moment
                for d in c.disks.values():
                    d.power_cut()
                w.stop = True
                for n in (1, 2, 3):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(c.pid(n), signal.SIGKILL)
                w.end()
                c.cli("local", "down", "--dir", c.dir, check=False)
                for d in c.disks.values():
                    d.power_on()
                c.cli("local", "up", "--dir", c.dir)
                check_rows(c.connect_retry(1), *writers)
            counts = [check_rows(c.connect_retry(n), *writers) for n in (1, 2, 3)]
            return f"{counts[0]} rows through {rounds} power losses"
    return run


# ---- rotten ----

def flip(path, count=3):
    """Flips bits at some places of the file."""
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for _ in range(count):
            at = RNG.randrange(size)
            f.seek(at)
            b = f.read(1)
            f.seek(at)
            f.write(bytes([b[0] ^ (1 << RNG.randrange(8))]))


def flip_everywhere(path):
    """At least one bit in every block: whatever part is read is damaged."""
    flip(path, 3 + os.path.getsize(path) // 512)


def flip_rows(path):
    """Only the middle of large tables, where rows are: a read or a compaction meets it."""
    size = os.path.getsize(path)
    if size > 1 << 20:
        with open(path, "r+b") as f:
            for i in range(6):
                f.seek(size // 3 + i * (size // 20))
                f.write(RNG.randbytes(8))


def cut(path):
    with open(path, "r+b") as f:
        f.truncate(os.path.getsize(path) * 2 // 3)


def zero(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.seek(size // 2)
        f.write(bytes(min(4096, size - size // 2)))


DAMAGES = [
    ("raft", ".log", flip_everywhere), ("raft", ".log", zero), ("raft", ".ldb", flip_everywhere), ("raft", ".ldb", cut),
    ("raft", "MANIFEST", flip_everywhere), ("raft", "CURRENT", flip), ("raft", "MANIFEST", os.unlink),
    ("raft", ".ldb", os.unlink), ("state", ".log", flip), ("state", ".ldb", flip_everywhere), ("state", ".ldb", flip_rows),
    ("state", ".ldb", cut), ("state", "MANIFEST", flip_everywhere), ("state", "CURRENT", os.unlink),
]


class Rot:
    """A cluster with enough rows that a node's stores have every kind of file; node 3 is the one that rots."""

    def __init__(self, c):
        self.c = c
        self.node = os.path.join(c.dir, "node3")
        self.data = os.path.join(self.node, "data")
        make_table(c)
        conn = c.connect(1)
        for i in range(10):
            query(conn, f"INSERT INTO kept SELECT g, repeat('x', 500) FROM generate_series({i * 2000}, {i * 2000 + 1999}) g")
        conn.close()
        self.rows = 20000
        for _ in range(2):  # a start writes what was in the logs to tables
            self.restart()
        lead(c, 1)
        c.kill(3)
        shutil.copytree(self.data, self.data + ".old")
        c.start(3)
        conn = c.connect_retry(1)
        query(conn, "INSERT INTO kept SELECT g, repeat('y', 500) FROM generate_series(20000, 20999) g")
        conn.close()
        self.rows = 21000
        lead(c, 3)
        lead(c, 1)
        c.kill(3)
        shutil.copytree(self.data, self.data + ".good")

    def restart(self):
        self.c.kill(3)
        self.c.start(3)
        self.c.connect_retry(3).close()

    def write(self):
        conn = self.c.connect_retry(1)
        query(conn, "INSERT INTO kept VALUES (%s, 'z')", (self.rows,))
        self.rows += 1
        conn.close()

    def reset(self):
        with open(os.path.join(self.node, "output"), errors="replace") as f:
            said = f.read()
        self.c.cli("local", "kill", "3", "--dir", self.c.dir, check=False)
        shutil.rmtree(self.data)
        shutil.copytree(self.data + ".good", self.data)
        return said

    def sum_at(self, node):
        """The rows' sum as the node itself has them, or the error it gives."""
        lead(self.c, node)
        conn = self.c.connect(node)
        return query(conn, "SELECT count(*), sum(a::bigint), sum(length(t)) FROM kept")

    def expected(self):
        extra = self.rows - 21000
        return [(self.rows, self.rows * (self.rows - 1) // 2, 21000 * 500 + extra)]

    def outcome(self):
        """Starts node 3 on what is there: "refused", "ended" while it ran, or "sound". All else is a failure."""
        r = self.c.cli("local", "start", "3", "--dir", self.c.dir, check=False)
        self.write()  # the others go on
        if r.returncode != 0:
            expect_text(r.stdout + r.stderr, "data", "hint")
            expect("amage" in r.stdout + r.stderr or "orrupt" in r.stdout + r.stderr, r.stdout + r.stderr)
            return "refused"
        pid = self.pid()
        try:
            have = self.sum_at(3)
        except Exception as e:
            # It met the damage while it ran: it must have ended, with the reason.
            await_that(lambda: not os.path.exists(f"/proc/{pid}"), f"the damaged server ends; {e}", 20)
            with open(os.path.join(self.node, "output"), errors="replace") as f:
                said = f.read()
            expect("amage" in said or "orrupt" in said, said)
            expect_text(said, "data")
            have = self.sum_at(1)
            expect(have == self.expected(), f"spread: {have}")
            return "ended"
        expect(have == self.expected(), f"it serves {have}, not {self.expected()}")
        return "sound"

    def pid(self):
        with open(os.path.join(self.node, "pid")) as f:
            return int(f.read().split()[0])


def rot_cases(rot):
    def case(store, kind, damage):
        def run():
            try:
                folder = os.path.join(rot().data, store)
                files = [f for f in os.listdir(folder) if kind in f and os.path.getsize(os.path.join(folder, f)) > 0]
                expect(files, f"no {kind} in {folder}: {os.listdir(folder)}")
                for f in files:
                    damage(os.path.join(folder, f))
                note = rot().outcome()
                if damage is flip_rows:
                    expect(note != "sound", "the damage is not seen")
                if damage in (flip_everywhere, os.unlink, cut) and kind in (".ldb", "MANIFEST", "CURRENT"):
                    expect(note != "sound" or store == "state", f"the damage is not seen: {note}")
                return note
            finally:
                rot().reset()
        return run

    def swapped(store):
        """The store of an earlier day beside the other of today."""
        def run():
            try:
                shutil.rmtree(os.path.join(rot().data, store))
                shutil.copytree(os.path.join(rot().data + ".old", store), os.path.join(rot().data, store))
                return rot().outcome()
            finally:
                rot().reset()
        return run

    def lost(store):
        def run():
            try:
                shutil.rmtree(os.path.join(rot().data, store))
                note = rot().outcome()
                expect(note == "refused", f"a server without its {store} store starts")
                return note
            finally:
                rot().reset()
        return run

    cases = [(f"rot: {store}/{kind} {damage.__name__}", case(store, kind, damage)) for store, kind, damage in DAMAGES]
    cases += [(f"rot: {s} of an earlier day", swapped(s)) for s in ("raft", "state")]
    cases += [(f"rot: {s} lost", lost(s)) for s in ("raft", "state")]
    return cases


def why_no_disks():
    """None: this user can mount file systems here, also from files."""
    if os.getuid() != 0:
        return "only root can mount"
    path = tempfile.mkdtemp(prefix="sherd-test-")
    disks = []
    try:
        disks.append(Disk(os.path.join(path, "memory")))
        disks.append(Disk(os.path.join(path, "loop"), os.path.join(path, "image")))
        return None
    except (RuntimeError, OSError) as e:
        return str(e)
    finally:
        for d in disks:
            d.destroy()
        shutil.rmtree(path, ignore_errors=True)


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    mounted = [
        ("full: the leader's disk", full_one),
        ("full: every disk", full_all),
        ("full: to the last byte", full_to_the_last_byte),
        ("failing: the leader's disk", failing_leader),
        ("power: of all nodes", power_loss()),
    ]
    code = 0
    reason = why_no_disks()
    if reason is None:
        code |= run_cases([c for c in mounted if part in c[0]])
    else:
        print(f"SKIPPED: full and failing disks, power loss: {reason}")
    worlds = []
    cases = [c for c in rot_cases(lambda: worlds[0]) if part in c[0]]
    if cases:
        with Cluster() as c:
            worlds.append(Rot(c))
            code |= run_cases(cases)
            c.start(3)
            have = worlds[0].sum_at(3)
            if have != worlds[0].expected():
                print(f"FAILED: at the end node 3 has {have}")
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
