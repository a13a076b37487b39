"""A cluster of real sherdd processes, each started, signalled and ended by its pid.

On loopback at free ports, or each node in a network namespace of its own (net.py). A node's data may lie on a disk of
its own (disk.py). SHERD_BIN names the directory of the binaries.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from net import Network, address

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
BIN = os.path.abspath(os.environ.get("SHERD_BIN", "build/release/bin"))


def free_ports(nodes):
    for base in range(21000 + os.getpid() % 100 * 100, 32000, 100):
        with contextlib.ExitStack() as stack:
            try:
                for p in (base + 10 * i + k for i in range(nodes) for k in range(4)):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", p))
                return base
            except OSError:
                continue
    raise RuntimeError("no free ports")


class Node:
    def __init__(self, number, roles, host, sql_port, directory, prefix):
        self.number, self.roles, self.host, self.sql_port = number, roles, host, sql_port
        self.dir, self.prefix = directory, prefix
        self.data_dir = os.path.join(directory, "data")
        self.wrapper, self.env = [], {}
        self.process = None
        self.is_paused = False
        self.starts = 0
        self.clock_file = None
        self.storage_settings = {}

    @property
    def grpc_port(self):
        return self.sql_port + 1

    @property
    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def write_config(self, initial, cluster):
        os.makedirs(self.dir, exist_ok=True)
        text = f"cluster:\n  name: {cluster}\n"
        if self in initial:
            text += "  initial:\n"
            for n in initial:
                text += (f"    - {{node: {n.number}, host: {n.host}, grpc_port: {n.sql_port + 1}, "
                         f"raft_port: {n.sql_port + 2}}}\n")
        else:
            text += f"  join: {initial[0].host}:{initial[0].grpc_port}\n"
        text += (f"node:\n  id: {self.number}\n  host: {self.host}\n  roles: [{', '.join(self.roles)}]\n"
                 f"ports:\n  sql: {self.sql_port}\n  grpc: {self.sql_port + 1}\n  raft: {self.sql_port + 2}\n"
                 f"  http: {self.sql_port + 3}\nstorage:\n  data_dir: {self.data_dir}\n"
                 + "".join(f"  {k}: {v}\n" for k, v in self.storage_settings.items())
                 + f"log:\n  dir: {self.dir}/log\n")
        with open(os.path.join(self.dir, "sherd.yaml"), "w") as f:
            f.write(text)

    def start(self):
        assert not self.is_up
        self.starts += 1
        self.is_paused = False
        env = dict(os.environ, **self.env)
        with open(os.path.join(self.dir, "output"), "ab") as out:
            self.process = subprocess.Popen(
                self.prefix + self.wrapper + [os.path.join(BIN, "sherdd"), "--config", os.path.join(self.dir, "sherd.yaml")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=self.dir, start_new_session=True)

    def signal(self, number):
        if self.is_up:
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL. An end that came before it was not ours: take_fall() tells of it."""
        if self.is_up:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        self.is_paused = False

    def terminate(self, seconds):
        """SIGTERM, and waits until the process has ended; raises when it does not, or not with 0."""
        self.signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        if code != 0:
            raise RuntimeError(f"node {self.number} ended with {code}\n{self.last_words()}")

    def take_fall(self):
        """The exit code of a process that ended by itself, once; else None."""
        if self.process is None or self.process.poll() is None:
            return None
        code, self.process = self.process.returncode, None
        return code

    def restart_after_fault(self):
        """A start after a fault that may have ended the process, as a supervisor does."""
        self.take_fall()
        self.start()

    # ---- injection into the process ----

    def use_clock(self):
        """Wall clock from a file (libfaketime); the monotonic clock stays."""
        self.clock_file = os.path.join(self.dir, "clock")
        self.set_clock("+0")
        self.env.update(LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=self.clock_file, FAKETIME_NO_CACHE="1",
                        FAKETIME_DONT_FAKE_MONOTONIC="1")

    def set_clock(self, text):
        with open(self.clock_file + ".new", "w") as f:
            f.write(text + "\n")
        os.rename(self.clock_file + ".new", self.clock_file)

    def use_failpoints(self):
        """Failpoints (base/failpoint.h) can be set while the process runs."""
        self.set_failpoints("")
        self.env["SHERD_FAILPOINT"] = "@" + self.failpoint_file

    def set_failpoints(self, text):
        with open(self.failpoint_file + ".new", "w") as f:
            f.write(text + "\n")
        os.rename(self.failpoint_file + ".new", self.failpoint_file)
        self.signal(signal.SIGUSR1)

    @property
    def failpoint_file(self):
        return os.path.join(self.dir, "failpoints")

    def use_fiu(self):
        """System calls can be made to fail while the process runs (libfiu)."""
        self.wrapper = ["fiu-run", "-x"]

    def inject(self, *commands):
        args = ["fiu-ctrl"]
        for c in commands:
            args += ["-c", c]
        subprocess.run(args + [str(self.process.pid)], check=True, capture_output=True, timeout=10)

    def pause(self):
        self.is_paused = True
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.is_paused = False
        self.signal(signal.SIGCONT)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.sql_port + 3}/health", timeout=2) as r:
                return r.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def metric(self, name):
        """Sum of the samples of a metric; None when the node does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.sql_port + 3}/metrics", timeout=2) as r:
                text = r.read().decode()
        except (urllib.error.URLError, OSError):
            return None
        lines = [x for x in text.split("\n") if x.split("{")[0].split(" ")[0] == name]
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines)

    def last_words(self, limit=1500):
        text = ""
        for name in ("output", "log/error.log"):
            with contextlib.suppress(OSError), open(os.path.join(self.dir, name), errors="replace") as f:
                text += f"--- node {self.number} {name}\n{f.read()[-limit:]}\n"
        return text


ALL_ROLES = ("metadata", "shard", "router")


class Cluster:
    """nodes: number of nodes with all roles; routers: further nodes that are routers only."""

    def __init__(self, nodes=3, routers=0, use_namespaces=False, directory=None, storage_settings=None):
        count = nodes + routers
        self.dir = tempfile.mkdtemp(prefix="sherd-chaos-", dir=directory)
        self.net = Network(count) if use_namespaces else None
        base = 7432 if use_namespaces else free_ports(count)
        self.nodes = []
        for i in range(1, count + 1):
            roles = ALL_ROLES if i <= nodes else ("router",)
            host = address(i) if use_namespaces else "127.0.0.1"
            port = base if use_namespaces else base + 10 * (i - 1)
            prefix = self.net.prefix(i) if use_namespaces else []
            self.nodes.append(Node(i, roles, host, port, os.path.join(self.dir, f"node{i}"), prefix))
            self.nodes[-1].storage_settings = storage_settings or {}
        self.storage = self.nodes[:nodes]
        self.only_routers = self.nodes[nodes:]
        self.routers = self.nodes  # every node takes SQL
        self.disks = {}  # node number -> Disk

    def __enter__(self):
        try:
            if self.net is not None:
                self.net.up()
        except Exception:
            self.__exit__(None, None, None)
            raise
        return self

    def start(self):
        for n in self.nodes:
            n.write_config(self.storage, "chaos")
        for n in self.storage:
            n.start()
        self.wait_ready(30, self.storage)
        for n in self.only_routers:
            n.start()
        self.wait_ready(30)

    def __exit__(self, kind, value, trace):
        for d in self.disks.values():
            d.thaw()  # a process in a write to a frozen disk cannot even be killed
        for n in self.nodes:
            if n.is_paused:
                n.resume()
            n.kill()
        for d in self.disks.values():
            d.destroy()
        if self.net is not None:
            self.net.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    def node(self, number):
        return self.nodes[number - 1]

    def wait_ready(self, seconds, nodes=None):
        """Seconds until all answer /health; raises when one does not."""
        begin = time.monotonic()
        for n in nodes or self.nodes:
            while not n.is_ready():
                if not n.is_up:
                    raise RuntimeError(f"node {n.number} ended with {n.process.poll()}\n{n.last_words()}")
                if time.monotonic() > begin + seconds:
                    raise RuntimeError(f"node {n.number} is not ready after {seconds} s\n{n.last_words()}")
                time.sleep(0.02)
        return time.monotonic() - begin

    def status(self):
        """What `sherd status --json` says, from the first node that answers; None when none does."""
        for n in self.nodes:
            if not n.is_up or n.is_paused:
                continue
            try:
                r = subprocess.run([os.path.join(BIN, "sherd"), "status", "-h", n.host, "-p", str(n.grpc_port), "--json"],
                                   capture_output=True, text=True, timeout=5, check=False)
                if r.returncode == 0:
                    return json.loads(r.stdout)
            except (subprocess.TimeoutExpired, ValueError):
                continue
        return None

    def leader(self, what, rng):
        """Number of the node that leads the metadata group, or some shard; None when nobody can tell."""
        s = self.status()
        if s is None:
            return None
        if what == "metadata":
            return s.get("metadata_leader") or None
        leaders = [x["leader"] for x in s["shards"] if x.get("leader")]
        return rng.choice(leaders) if leaders else None

    def heal(self):
        """Ends every fault and starts what is down. Returns (node, exit code) of those that had ended by themselves."""
        fallen = []
        for d in self.disks.values():
            d.thaw()
            d.free()
        if self.net is not None:
            self.net.heal()
            for n in self.nodes:
                self.net.limit(n.number, None)
        for n in self.nodes:
            if n.is_paused:
                n.resume()
            if not n.is_up:
                code = n.take_fall()
                if code is not None:
                    fallen.append((n.number, code))
                n.start()
        return fallen
