#!/usr/bin/python3
"""sherd beside PostgreSQL with two synchronous standbys, on one machine, in turn, in one run.

    test/bench/compare.py [--seconds N] [--rounds N] [--scale N] [--only NAME,...]

Needs root (PostgreSQL runs as user postgres) and the packages of scripts/install-packages.sh --tests. Both systems have
three nodes on loopback and share the cores with the load driver (pgbench). Rounds alternate; medians and ratios are
printed as a Markdown table. SHERD_BIN names the directory of the release binaries.
Server CPU: user + system time of all server processes over the run, per transaction.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from cluster import Cluster, free_port_range  # noqa: E402

PG = "/usr/lib/postgresql/15/bin"


def sh(args, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    if r.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {r.stdout[-800:]}{r.stderr[-800:]}")
    return r.stdout


def as_postgres(args, **kw):
    return sh(["runuser", "-u", "postgres", "--", *args], **kw)


class Postgres:
    """A primary and two standbys; a commit waits until one standby has flushed it too: two of three copies on disk."""
    name = "PostgreSQL 15, two synchronous standbys"

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="pg-bench-")
        shutil.chown(self.dir, "postgres", "postgres")
        self.port = free_port_range(3)
        primary = os.path.join(self.dir, "p0")
        as_postgres([f"{PG}/initdb", "-D", primary, "-A", "trust", "-U", "postgres", "--locale=C.UTF-8"])
        with open(os.path.join(primary, "postgresql.conf"), "a") as f:
            f.write("shared_buffers = 512MB\nmax_wal_size = 4GB\nlisten_addresses = '127.0.0.1'\n"
                    f"unix_socket_directories = '{self.dir}'\nmax_connections = 200\nwal_level = replica\n")
        with open(os.path.join(primary, "pg_hba.conf"), "a") as f:
            f.write("host replication all 127.0.0.1/32 trust\n")
        self.start(0)
        for i in (1, 2):
            as_postgres([f"{PG}/pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-D",
                         os.path.join(self.dir, f"p{i}"), "-R", "-c", "fast",
                         ])
            with open(os.path.join(self.dir, f"p{i}", "postgresql.auto.conf"), "a") as f:
                f.write(f"primary_conninfo = 'host=127.0.0.1 port={self.port} user=postgres application_name=s{i}'\n")
            self.start(i)
        self.psql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (s1,s2)'")
        self.psql("SELECT pg_reload_conf()")
        end = time.monotonic() + 30
        while self.psql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'").strip() != "2":
            if time.monotonic() > end:
                raise RuntimeError("the standbys do not follow")
            time.sleep(0.2)
        self.psql("CREATE DATABASE bench")
        return self

    def start(self, i):
        as_postgres([f"{PG}/pg_ctl", "-D", os.path.join(self.dir, f"p{i}"), "-w", "-l", os.path.join(self.dir, f"log{i}"),
                     "-o", f"-p {self.port + i}", "start"])

    def psql(self, sql):
        return sh(["psql", "-X", "-At", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-c", sql])

    def pids(self):
        return [int(open(os.path.join(self.dir, f"p{i}", "postmaster.pid")).readline()) for i in range(3)]

    def env(self):
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": "bench"}

    def __exit__(self, *_):
        for i in (2, 1, 0):
            subprocess.run(["runuser", "-u", "postgres", "--", f"{PG}/pg_ctl", "-D", os.path.join(self.dir, f"p{i}"), "-m",
                            "immediate", "stop"], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Sherd:
    name = "sherd, three nodes"

    def __enter__(self):
        self.cluster = Cluster().__enter__()
        return self

    def pids(self):
        out = []
        for i in (1, 2, 3):
            out.append(int(open(os.path.join(self.cluster.dir, f"node{i}", "pid")).read().split()[0]))
        return out

    def env(self):
        # The node that leads the shard, as a connection pool that knows the cluster would choose.
        node = self.cluster.shard_leader() or 1
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.cluster.sql_port(node)), "PGUSER": "sherd", "PGDATABASE": "sherd"}

    def __exit__(self, *args):
        self.cluster.__exit__(*args)


def cpu_ticks(roots):
    """User + system ticks of the process trees, ended children included."""
    children, total = {}, {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(p))
        total[int(p)] = sum(int(x) for x in fields[11:15])
    todo, ticks = list(roots), 0
    while todo:
        p = todo.pop()
        ticks += total.get(p, 0)
        todo += children.get(p, [])
    return ticks


def run(system, args, seconds):
    a = cpu_ticks(system.pids())
    r = subprocess.run(["pgbench", "-n", "-T", str(seconds), *args], capture_output=True, text=True,
                       env={**os.environ, **system.env()})
    b = cpu_ticks(system.pids())
    if r.returncode != 0:
        raise RuntimeError(f"{system.name}: pgbench {args}: {r.stdout[-500:]}{r.stderr[-500:]}")
    n = int(re.search(r"actually processed: (\d+)", r.stdout).group(1))
    failed = int(re.search(r"failed transactions: (\d+)", r.stdout).group(1))
    return {"tps": float(re.search(r"tps = ([\d.]+)", r.stdout).group(1)),
            "ms": float(re.search(r"latency average = ([\d.]+)", r.stdout).group(1)),
            "cpu": (b - a) * 1e6 / os.sysconf("SC_CLK_TCK") / max(n, 1), "failed": failed}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seconds", type=int, default=5)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--scale", type=int, default=1)
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as insert:
        insert.write("\\set k random(1, 1000000)\nINSERT INTO bench_insert (k, v) VALUES (:k, '" + "x" * 100 + "');\n")
        insert.flush()
        loads = {
            "insert, 1 client": ["-f", insert.name, "-c", "1"],
            "insert, 64 clients": ["-f", insert.name, "-c", "64", "-j", "2"],
            "point read, prepared, 1 client": ["-S", "-M", "prepared", "-c", "1"],
            "point read, prepared, 32 clients": ["-S", "-M", "prepared", "-c", "32", "-j", "2"],
            "TPC-B, prepared, 1 client": ["-M", "prepared", "-c", "1"],
            "TPC-B, prepared, 32 clients": ["-M", "prepared", "-c", "32", "-j", "2"],
        }
        if a.only:
            loads = {k: v for k, v in loads.items() if any(o in k for o in a.only.split(","))}
        with Postgres() as pg, Sherd() as sherd:
            systems = (pg, sherd)
            for s in systems:
                env = {**os.environ, **s.env()}
                sh(["psql", "-X", "-q", "-c", "CREATE TABLE bench_insert (id bigserial PRIMARY KEY, k int, v text)"], env=env)
                sh(["pgbench", "-i", "-q", "-s", str(a.scale)], env=env)
            print("| load | PostgreSQL tps, avg ms, CPU us | sherd tps, avg ms, CPU us | ratio of tps (rounds) |\n|---|---|---|---|")
            for name, args in loads.items():
                got = {s: [] for s in systems}
                for _ in range(a.rounds):
                    for s in systems:
                        got[s].append(run(s, args, a.seconds))
                cells = []
                for s in systems:
                    m = {k: statistics.median(r[k] for r in got[s]) for k in ("tps", "ms", "cpu")}
                    failed = sum(r["failed"] for r in got[s])
                    cells.append(f"{m['tps']:,.0f}, {m['ms']:.2f}, {m['cpu']:.0f}" + (f" ({failed} failed)" if failed else ""))
                ratios = [y["tps"] / x["tps"] for x, y in zip(got[pg], got[sherd])]
                print(f"| {name} | {cells[0]} | {cells[1]} | **{statistics.median(ratios):.2f}** "
                      f"({', '.join(f'{r:.2f}' for r in ratios)}) |", flush=True)


if __name__ == "__main__":
    main()
