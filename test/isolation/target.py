"""The systems that specs run on: a private PostgreSQL 15, `sherdd --dev`, and a cluster of three nodes.

Each tells which of its sessions wait for a lock, and for whom. A wait counts only for a holder whose transaction is
still open: locks of one that has ended are on their way to the next.
"""
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psycopg2
import psycopg2.extensions

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from cluster import BIN, Cluster, free_port_range  # noqa: E402

PG = "/usr/lib/postgresql/15/bin"
STEP_SECONDS = 30


class Stuck(Exception):
    pass


def wait_for(conn, seconds):
    """Polls an asynchronous connection. True: its query has ended; an error of the query is raised."""
    end = time.monotonic() + seconds
    while True:
        state = conn.poll()
        if state == psycopg2.extensions.POLL_OK:
            return True
        left = end - time.monotonic()
        if left <= 0:
            return False
        if state == psycopg2.extensions.POLL_READ:
            select.select([conn], [], [], left)
        else:
            select.select([], [conn], [], left)


class Target:
    """params(i): where session i connects. key(i, pid): names its backend. waits(keys): {key: set of keys it waits for}
    of those that wait."""
    sharded = ""
    settings = []  # statements of each session

    def key(self, _, pid):
        return pid

    def connect(self, i=0):
        conn = psycopg2.connect(connect_timeout=10, **self.params(i))
        conn.autocommit = True
        return conn

    def connect_async(self, i):
        conn = psycopg2.connect(async_=1, **self.params(i))
        if not wait_for(conn, STEP_SECONDS):
            raise Stuck("no connection")
        return conn


class Postgres(Target):
    name = "postgres"

    @staticmethod
    def is_installed():
        return os.path.exists(f"{PG}/initdb")

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="pg-isolation-")
        self.port = free_port_range(1)
        self.data = os.path.join(self.dir, "data")
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.as_user:
            shutil.chown(self.dir, "postgres", "postgres")
        self.run([f"{PG}/initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "-N"])
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(f"fsync = off\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{self.dir}'\n"
                    f"port = {self.port}\ndeadlock_timeout = 20ms\ntimezone = 'UTC'\n")
        self.run([f"{PG}/pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.dir, "log"), "start"])
        self.control = self.connect()
        return self

    def run(self, args):
        r = subprocess.run(self.as_user + args, capture_output=True, text=True, cwd=self.dir)
        if r.returncode != 0:
            raise RuntimeError(f"{' '.join(args)}: {r.stdout[-800:]}{r.stderr[-800:]}")

    def __exit__(self, *_):
        subprocess.run(self.as_user + [f"{PG}/pg_ctl", "-D", self.data, "-m", "immediate", "stop"],
                       capture_output=True, cwd=self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)

    def params(self, _):
        return {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres"}

    def waits(self, keys):
        # A victim tells its error before it gives its locks back: who is still at work for a step that has ended is no
        # holder that lasts.
        with self.control.cursor() as cur:
            cur.execute("SELECT p, pg_blocking_pids(p) FROM unnest(%s) AS p", (keys,))
            waits = {pid: set(by) for pid, by in cur.fetchall() if by}
            cur.execute("SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> ALL (%s)", (keys,))
            ending = {pid for pid, in cur.fetchall()}
        return {pid: by for pid, by in waits.items() if not by & ending}


class Sherd(Target):
    def key(self, i, pid):
        return (i % len(self.controls), pid)

    def waits(self, _):
        edges, pid_of = [], {}
        for node, control in enumerate(self.controls):
            with control.cursor() as cur:
                cur.execute("SELECT waiter, holder, waiter_pid, holder_pid FROM sherd_lock_waits")
                for waiter, holder, waiter_pid, holder_pid in cur.fetchall():
                    if waiter is None:  # it waits for a schema change and has no transaction yet
                        waiter = (node, waiter_pid)
                    edges.append((waiter, holder))
                    for txn, pid in ((waiter, waiter_pid), (holder, holder_pid)):
                        if pid is not None:
                            pid_of[txn] = (node, pid)
        out = {}
        for waiter, holder in edges:
            if waiter in pid_of and holder in pid_of:
                out.setdefault(pid_of[waiter], set()).add(pid_of[holder])
        return out


class Dev(Sherd):
    """One process, no Raft peers, data in memory."""
    name = "dev"

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="sherd-isolation-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.port = free_port_range(1)
        self.log = open(os.path.join(self.dir, "out"), "w+")
        self.process = subprocess.Popen(
            [os.path.join(BIN, "sherdd"), "--dev", "--data", os.path.join(self.dir, "data"), "--sql-port", str(self.port)],
            stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 30
        while True:
            try:
                self.controls = [self.connect()]
                break
            except psycopg2.OperationalError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.__exit__(RuntimeError)
                    raise
                select.select([], [], [], 0.02)
        self.control = self.controls[0]
        return self

    def __exit__(self, kind=None, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind is not None or self.process.returncode not in (0, -signal.SIGTERM):
            self.log.seek(0)
            print(f"--- sherdd ended with {self.process.returncode}\n{self.log.read()[-6000:]}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def params(self, _):
        return {"host": "127.0.0.1", "port": self.port, "user": "sherd", "dbname": "sherd"}


class Raw(Dev):
    """No statement and no transaction is run again: each conflict is seen."""
    name = "raw"
    settings = ["SET sherd.auto_retry = off"]


class Nodes(Sherd):
    """Three nodes; sessions are spread over them, tables over shards."""
    name = "cluster"
    sharded = "WITH (sharding = 'hash', shards = 3)"

    def __enter__(self):
        self.cluster = Cluster(3).__enter__()
        self.controls = [self.connect(i) for i in range(3)]
        self.control = self.controls[0]
        return self

    def __exit__(self, *args):
        self.cluster.__exit__(*(args or (None, None, None)))

    def params(self, i):
        return {"host": "127.0.0.1", "port": self.cluster.sql_port(1 + i % 3), "user": "sherd", "dbname": "sherd"}
