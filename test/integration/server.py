"""One server process with a configuration of the test's making, for tests of what a server refuses and survives.

cluster.py's Cluster is the counterpart that goes through `sherd local`.
"""
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import psycopg2

from cluster import BIN, free_port_range

SHERDD = os.path.abspath(os.path.join(BIN, "sherdd"))
PORTS = ("sql", "grpc", "raft", "http")


class Failed(Exception):
    """What was seen is not what must be."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


def expect_text(text, *parts):
    """Every part is in the text."""
    for p in parts:
        expect(p in text, f"\"{p}\" is not in:\n{text}")


def run_cases(cases):
    """Runs (name, function) pairs, prints one line each; the exit code of the test."""
    failed = []
    for name, fn in cases:
        begin = time.monotonic()
        try:
            note = fn()
            print(f"ok      {name}{': ' + note if note else ''} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception as e:  # a case that fails must not keep the others from being run
            failed.append(name)
            print(f"FAILED  {name}: {type(e).__name__}: {e}", flush=True)
    print(f"{len(cases) - len(failed)} of {len(cases)} passed")
    return 1 if failed else 0


class Server:
    """A node in a directory of its own. `values` replaces values of the configuration: {"node.id": 2}."""

    def __init__(self, directory=None, port=None, values=None):
        self.is_own_dir = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="sherd-test-")
        os.makedirs(self.dir, exist_ok=True)
        first = port or free_port_range(1)
        self.ports = {name: first + i for i, name in enumerate(PORTS)}
        self.values = {"cluster.name": "one", "node.id": 1, "node.host": "127.0.0.1",
                       **{f"ports.{k}": v for k, v in self.ports.items()},
                       "storage.data_dir": os.path.join(self.dir, "data"), "log.dir": os.path.join(self.dir, "log")}
        self.values["cluster.initial"] = (f"[{{node: 1, host: 127.0.0.1, grpc_port: {self.ports['grpc']}, "
                                          f"raft_port: {self.ports['raft']}}}]")
        self.values.update(values or {})
        self.process = None
        self.output = os.path.join(self.dir, "output")
        self.environment = dict(os.environ)
        self.prefix = []  # a command before the server's
        self.user = None
        self.binary = SHERDD

    @property
    def data(self):
        return self.values["storage.data_dir"]

    def config(self):
        sections = {}
        for key, value in self.values.items():
            section, _, name = key.partition(".")
            sections.setdefault(section, []).append((name, value))
        lines = []
        for section, pairs in sections.items():
            lines.append(f"{section}:")
            lines += [f"  {name}: {value}" for name, value in pairs if value is not None]
        path = os.path.join(self.dir, "sherd.yaml")
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def spawn(self, config=None):
        config = config or self.config()
        with open(self.output, "w") as out:
            self.process = subprocess.Popen([*self.prefix, self.binary, "--config", config], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=subprocess.STDOUT, env=self.environment, user=self.user)

    def text(self):
        with open(self.output, errors="replace") as f:
            return f.read()

    def wait_end(self, seconds=30):
        """The exit code, once the process has ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"the server has not ended within {seconds} s; it said:\n{self.text()}") from None

    def start(self, seconds=30):
        """Returns when the server says that it is ready."""
        self.spawn()
        end = time.monotonic() + seconds
        fd = os.pidfd_open(self.process.pid)
        try:
            while "sherdd: ready" not in self.text():
                ended, _, _ = select.select([fd], [], [], 0.01)
                expect(not ended, f"the server ended with {self.process.poll()}:\n{self.text()}")
                expect(time.monotonic() < end, f"the server is not ready within {seconds} s:\n{self.text()}")
        finally:
            os.close(fd)
        return self

    def refuses(self, *parts, config=None, code=1, seconds=30):
        """Starts it: it must end with that code, having said all of the parts."""
        self.spawn(config)
        have = self.wait_end(seconds)
        expect(have == code, f"exit code {have}, not {code}:\n{self.text()}")
        expect_text(self.text(), *parts)
        expect("Sanitizer" not in self.text(), self.text())
        return self.text()

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=30):
        if self.is_up():
            self.process.send_signal(sig)
            return self.wait_end(seconds)
        return self.process.poll() if self.process else None

    def connect(self, database="sherd"):
        c = psycopg2.connect(host="127.0.0.1", port=self.ports["sql"], user="sherd", dbname=database, connect_timeout=10)
        c.autocommit = True
        return c

    def metric(self, name):
        """The sum over all labels."""
        return metric(self.ports["http"], name)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.is_up():
            self.process.kill()
            self.process.wait()
        if self.is_own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)


def metric(http_port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/metrics", timeout=30) as r:
        text = r.read().decode()
    found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.M)
    expect(found, f"there is no metric {name}")
    return sum(float(v) for v in found)


def await_that(condition, what, seconds=20):
    """Asks again until it holds: for what nothing tells of."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.02)
