"""A real cluster on loopback for tests: `sherd local` in a temporary directory, on ports that are free.

The binaries come from SHERD_BIN (a directory). Servers end by `sherd local down`, by pid, whatever happens.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

import psycopg2

BIN = os.environ.get("SHERD_BIN", "build/release/bin")


def free_port_range(nodes):
    """A SQL port P such that P + 10 i + 0..3 are free now. Below the range that the kernel gives to clients."""
    for base in range(21000 + os.getpid() % 100 * 100, 32000, 100):
        ports = [base + 10 * i + k for i in range(nodes) for k in range(4)]
        with contextlib.ExitStack() as stack:
            try:
                for p in ports:
                    s = stack.enter_context(socket.socket())
                    s.bind(("127.0.0.1", p))
                return base
            except OSError:
                continue
    raise RuntimeError("no free ports")


class Cluster:
    def __init__(self, nodes=3):
        self.nodes = nodes
        self.dir = tempfile.mkdtemp(prefix="sherd-test-")
        self.port = free_port_range(nodes)
        self.up_seconds = None

    def cli(self, *args, check=True, timeout=90):
        r = subprocess.run([os.path.join(BIN, "sherd"), *args], capture_output=True, text=True, errors="replace", timeout=timeout)
        if check and r.returncode != 0:
            raise RuntimeError(f"sherd {' '.join(args)}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def __enter__(self):
        begin = time.monotonic()
        try:
            self.cli("local", "up", "--nodes", str(self.nodes), "--dir", self.dir, "--sql-port", str(self.port))
        except Exception:
            self.__exit__(RuntimeError, None, None)
            raise
        self.up_seconds = time.monotonic() - begin
        return self

    def __exit__(self, kind, value, trace):
        self.cli("local", "down", "--dir", self.dir, check=False)
        if kind is not None:
            for root, _, files in os.walk(self.dir):
                for name in files:
                    if name in ("error.log", "stderr", "server.err", "sherdd.log", "sherdd.out"):
                        path = os.path.join(root, name)
                        with open(path, errors="replace") as f:
                            text = f.read()[-3000:]
                        if text:
                            print(f"--- {path}\n{text}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def kill(self, node):
        self.cli("local", "kill", str(node), "--dir", self.dir)

    def start(self, node):
        self.cli("local", "start", str(node), "--dir", self.dir)

    def pid(self, node):
        with open(os.path.join(self.dir, f"node{node}", "pid")) as f:
            return int(f.read().split()[0])

    def sql_port(self, node):
        return self.port + 10 * (node - 1)

    def connect(self, node=1, database="sherd", autocommit=True):
        c = psycopg2.connect(host="127.0.0.1", port=self.sql_port(node), user="sherd", dbname=database,
                             connect_timeout=10)
        c.autocommit = autocommit
        return c

    def connect_retry(self, node=1, seconds=20, **kw):
        end = time.monotonic() + seconds
        while True:
            try:
                return self.connect(node, **kw)
            except psycopg2.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def shard_leader(self, shard=2, ask=None):
        """Node that leads the shard, by a node that is up; 0 when unknown."""
        import json
        for node in [ask] if ask else range(1, self.nodes + 1):
            r = self.cli("status", "-p", str(self.sql_port(node) + 1), "--json", check=False, timeout=20)
            if r.returncode == 0:
                for s in json.loads(r.stdout).get("shards", []):
                    if s.get("shard_id", s.get("id", s.get("shard"))) == shard:
                        return s.get("leader", s.get("leader_node", 0)) or 0
        return 0


def query(conn, sql, args=None):
    with conn.cursor() as cur:
        cur.execute(sql, args)
        return cur.fetchall() if cur.description else None
