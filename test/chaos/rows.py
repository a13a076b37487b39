"""The rows: which cluster, which fault, which workloads, what is allowed. Numbers are those of the test plan in
docs/CHAOS.md."""
import os
import shutil

import nemesis
import workloads
from disk import Disk

LOCKS_CLEAR_LIMIT = 5  # seconds, as docs/SQL.md promises; the rows are locked one after the other, which takes its time
EVERYTHING = tuple(w.name for w in workloads.ALL)


class Row:
    def __init__(self, number, name, harm, *, nodes=3, routers=1, use_namespaces=False, tools=(), works=EVERYTHING,
                 seconds=30, deadline=5.0, gap_limit=None, disk_mb=None, reserve_mb=None, prepare=None, judge=None):
        self.number, self.name, self.nemesis = number, name, harm
        self.nodes, self.routers, self.use_namespaces = nodes, routers, use_namespaces
        self.tools = tools + (("ip", "nft") if use_namespaces else ()) + \
            (("losetup", "mkfs.ext4", "fsfreeze") if disk_mb else ())
        self.workloads, self.seconds, self.deadline, self.gap_limit = works, seconds, deadline, gap_limit
        self.disk_mb, self.more, self.judge = disk_mb, prepare, judge
        self.settings = {"reserve_mb": reserve_mb if reserve_mb is not None else 16} if disk_mb else {}

    def missing(self):
        """Why it cannot run here; None when it can."""
        if (self.use_namespaces or self.disk_mb) and os.geteuid() != 0:
            return "needs root for network namespaces and disks"
        gone = [t for t in self.tools if shutil.which(t, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None]
        return f"not installed: {', '.join(gone)} (scripts/install-packages.sh --chaos)" if gone else None

    def prepare(self, cluster):
        if self.disk_mb:
            for n in cluster.storage:
                os.makedirs(n.dir, exist_ok=True)
                d = cluster.disks[n.number] = Disk(os.path.join(n.dir, "disk"), os.path.join(n.dir, "disk.img"), self.disk_mb)
                n.data_dir = os.path.join(d.path, "data")
        if self.more is not None:
            os.makedirs(cluster.dir, exist_ok=True)
            for n in cluster.nodes:
                os.makedirs(n.dir, exist_ok=True)
                self.more(n)

    def figures(self, figures):
        """Faults that the figures of the nemesis show."""
        return self.judge(figures) if self.judge is not None else []


def _lose_answers(node):
    node.env["SHERD_FAILPOINT"] = "shard.write=lose:40,shard.prepare=lose:25,shard.commit=lose:25,shard.finalize=lose:40"


def _clocks_moved(figures):
    return [] if figures.get("furthest clock s", 0) > 3000 else ["no clock was seen to move"]


def _points_reached(figures):
    if not any(k.startswith("died at") for k in figures):
        return ["no failpoint was reached"]
    missing = [p for p in nemesis.DEATHS if "died at " + p not in figures]
    faults = [f"not reached: {', '.join(missing)}"] if missing and figures.get("points not reached") else []
    for clear, usual in zip(figures.get("locks clear s", []), figures.get("the same without a death s", [])):
        if clear - usual > LOCKS_CLEAR_LIMIT:
            faults.append(f"locks of a dead node stayed for {clear - usual:.1f} s")
    return faults


def _must_end(figures):
    return [f"{figures[k]} processes went on after EIO" for k in ("still up 15 s after EIO",) if k in figures]


ROWS = {r.number: r for r in (
    Row(1, "no fault", nemesis.none, gap_limit=2),
    Row(2, "kill -9 of one, leader, metadata, router", nemesis.kill_cycle, gap_limit=5),
    Row(3, "kill -9 of all at once", nemesis.kill_all, works=("set", "bank", "list-append", "index"), seconds=400),
    Row(4, "pauses of 1-30 s", nemesis.pause, works=("register", "list-append", "monotonic", "set"), seconds=60),
    Row(5, "partitions", nemesis.partition, nodes=5, use_namespaces=True, seconds=60),
    Row(6, "swizzle-clog", nemesis.swizzle, nodes=5, use_namespaces=True, seconds=60),
    Row(9, "narrow line of a follower", nemesis.slow_follower, use_namespaces=True, tools=("tc",),
        works=("set", "monotonic"), seconds=60),
    Row(10, "power loss of one and of all", nemesis.power_loss, routers=0, disk_mb=256,
        works=("set", "bank", "index", "list-append"), seconds=40),
    Row(11, "disk full, then freed", nemesis.disk_full, disk_mb=128, reserve_mb=32, seconds=40),
    Row(12, "fsync fails", nemesis.failing_disk, tools=("fiu-run", "fiu-ctrl"), works=("set", "bank"), seconds=40,
        prepare=lambda n: n.use_fiu(), judge=_must_end),
    Row(13, "slow and hanging disk", nemesis.slow_disk, disk_mb=256, works=("bank", "set", "monotonic"), seconds=60,
        prepare=lambda n: n.use_failpoints()),
    Row(16, "clocks jump and drift", nemesis.clocks, tools=("faketime",), prepare=lambda n: n.use_clock(),
        judge=_clocks_moved),
    Row(19, "death between prepare and commit", nemesis.dying_coordinator,
        works=("bank", "set", "dirty", "list-append", "monotonic"), seconds=100,
        prepare=lambda n: n.use_failpoints(), judge=_points_reached),
    Row(20, "lost answers, broken connections", nemesis.lost_replies, use_namespaces=True,
        works=("set", "monotonic", "unique", "bank", "list-append"), deadline=2.0, seconds=40, prepare=_lose_answers),
)}
