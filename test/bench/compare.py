#!/usr/bin/python3
"""sherd beside PostgreSQL with two synchronous standbys, on one machine, in turn, in one run.

    test/bench/compare.py [--seconds N] [--rounds N] [--scale N] [--only NAME,...]

Needs root (PostgreSQL runs as user postgres) and the packages of scripts/install-packages.sh --tests, for its rows also
sysbench. Both systems have three nodes on loopback and share the cores with the load driver (pgbench, sysbench). Rounds
alternate; medians and ratios are printed as a Markdown table. SHERD_BIN names the directory of the release binaries.
Server CPU: user + system time of all server processes over the run, per transaction. "failed" counts transactions that
ended with an error at the client (40001, 40P01), sysbench's included, which runs them again. Each system runs at its
default isolation level (PostgreSQL: READ COMMITTED, sherd: SERIALIZABLE) where the row does not say another.

After the table, of sherd alone: the latency of a commit over two shards beside one in each of them, and how long a deadlock
between two shards stands until its victim hears 40P01.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from cluster import Cluster, free_port_range  # noqa: E402

PG = "/usr/lib/postgresql/15/bin"
SPREAD_SHARDS = 6  # of bench_spread: each of three nodes leads two


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


def run_sysbench(system, args, seconds):
    """args: the script, the isolation level or "" for the system's default, options."""
    env = system.env()
    level = {"PGOPTIONS": "-c default_transaction_isolation=" + args[1].replace(" ", "\\ ")} if args[1] else {}
    a = cpu_ticks(system.pids())
    r = subprocess.run(["sysbench", args[0], *sysbench_options(env), *args[2:], f"--time={seconds}", "run"],
                       capture_output=True, text=True, env={**os.environ, **level})
    b = cpu_ticks(system.pids())
    if r.returncode != 0:
        raise RuntimeError(f"{system.name}: sysbench {args}: {r.stdout[-500:]}{r.stderr[-500:]}")
    n = int(re.search(r"transactions:\s+(\d+)", r.stdout).group(1))
    return {"tps": float(re.search(r"transactions:.*\(([\d.]+) per sec", r.stdout).group(1)),
            "ms": float(re.search(r"avg:\s+([\d.]+)", r.stdout).group(1)),
            "cpu": (b - a) * 1e6 / os.sysconf("SC_CLK_TCK") / max(n, 1),
            "failed": int(re.search(r"ignored errors:\s+(\d+)", r.stdout).group(1))}


def sysbench_options(env):
    return ["--db-driver=pgsql", f"--pgsql-host={env['PGHOST']}", f"--pgsql-port={env['PGPORT']}", f"--pgsql-user={env['PGUSER']}",
            f"--pgsql-db={env['PGDATABASE']}", "--tables=4", "--table-size=10000"]


def connect(system):
    env = system.env()
    return psycopg2.connect(host=env["PGHOST"], port=env["PGPORT"], user=env["PGUSER"], dbname=env["PGDATABASE"])


def load_tpcb(env, scale):
    """What pgbench -i does, with a commit for each branch: one transaction of a million rows is another benchmark."""
    sh(["pgbench", "-i", "-q", "-I", "dtp", "-s", str(scale)], env=env)
    for b in range(1, scale + 1):
        sh(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", f"INSERT INTO pgbench_branches (bid, bbalance) VALUES ({b}, 0)",
            "-c", f"INSERT INTO pgbench_tellers (tid, bid, tbalance) SELECT i, {b}, 0 FROM generate_series({b * 10 - 9}, {b * 10}) i",
            "-c", f"INSERT INTO pgbench_accounts (aid, bid, abalance, filler) SELECT i, {b}, 0, '' "
                  f"FROM generate_series({b * 100000 - 99999}, {b * 100000}) i"], env=env)
    sh(["psql", "-X", "-q", "-c", "VACUUM ANALYZE"], env=env)


def keys_by_shard(cur):
    """Two rows of bench_spread in each of its shards: {shard: [key, key]}."""
    found = {}
    for k in range(400):
        cur.execute("EXPLAIN SELECT v FROM bench_spread WHERE id = %s", (k,))
        shard = re.search(r"Shards: (\d+)", "\n".join(r[0] for r in cur.fetchall())).group(1)
        found.setdefault(int(shard), []).append(k)
        if len(found) == SPREAD_SHARDS and all(len(ks) >= 2 for ks in found.values()):
            return found
    raise RuntimeError(f"bench_spread lies in {len(found)} shards")


def commit_latency(sherd, rounds):
    """Median latency of COMMIT alone after two UPDATEs, in one shard and in two, by who leads them, in turn."""
    conn = connect(sherd)
    cur = conn.cursor()
    keys = keys_by_shard(cur)
    here = (conn.info.port - sherd.cluster.port) // 10 + 1
    end = time.monotonic() + 60
    near = far = ()
    while len(near) < 2 or len(far) < 2:  # new shards get their leaders, then those are spread
        if time.monotonic() > end:
            raise RuntimeError(f"the leaders of bench_spread are not spread: {leader}")
        nodes = json.loads(sherd.cluster.cli("status", "-p", str(conn.info.port + 1), "--json").stdout)["nodes"]
        leader = {r["shard"]: n["node"] for n in nodes for r in n["replicas"] if r["leader"]}
        near = [k for s, k in sorted(keys.items()) if leader.get(s) == here]
        far = [k for s, k in sorted(keys.items()) if leader.get(s, here) != here]
        time.sleep(0.2)
    pairs = {"one, led here": near[0], "one, led elsewhere": far[0], "two, led here": (near[0][0], near[1][0]),
             "two, one of them led here": (near[0][0], far[0][0]), "two, led elsewhere": (far[0][0], far[1][0])}
    took = {name: [] for name in pairs}
    for _ in range(200 * rounds):
        for name, both in pairs.items():
            for key in both:
                cur.execute("UPDATE bench_spread SET v = v + 1 WHERE id = %s", (key,))
            begin = time.monotonic()
            conn.commit()
            took[name].append(time.monotonic() - begin)
    conn.close()
    ms = {name: statistics.median(t) * 1e3 for name, t in took.items()}
    print("\nCOMMIT, 1 client, shards written: " + ", ".join(f"{name} {v:.2f} ms" for name, v in ms.items()))
    one_here, one_far, two_here, two_mixed, two_far = ms.values()
    print(f"Two over one, led alike: here {two_here / one_here:.2f}x, elsewhere {two_far / one_far:.2f}x; one of them here: "
          f"{two_mixed / one_far:.2f}x of one elsewhere, {two_mixed / one_here:.2f}x of one here. Over any leaders of three "
          f"nodes: {(two_here + 4 * two_mixed + 4 * two_far) / 9 / ((one_here + 2 * one_far) / 3):.2f}x")


def deadlock_latency(sherd, rounds):
    """Two sessions lock two rows of two shards crosswise: from the second wait to the victim's error."""
    conns = [connect(sherd) for _ in range(2)]
    curs = [c.cursor() for c in conns]
    a, b = [keys[0] for keys in list(keys_by_shard(curs[0]).values())[:2]]
    for c, cur in zip(conns, curs):
        c.commit()
        cur.execute("SET sherd.auto_retry = off")
        c.commit()
    took = []
    for _ in range(10 * rounds):
        curs[0].execute("UPDATE bench_spread SET v = v + 1 WHERE id = %s", (a,))
        curs[1].execute("UPDATE bench_spread SET v = v + 1 WHERE id = %s", (b,))
        errors = []

        def cross(i, key):
            try:
                curs[i].execute("UPDATE bench_spread SET v = v + 1 WHERE id = %s", (key,))
            except psycopg2.Error as e:
                errors.append((time.monotonic() - begin, e.pgcode))
                conns[i].rollback()

        threads = [threading.Thread(target=cross, args=(0, b)), threading.Thread(target=cross, args=(1, a))]
        begin = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if [code for _, code in errors] != ["40P01"]:
            raise RuntimeError(f"a deadlock ended with {errors}")
        took.append(errors[0][0])
        for c in conns:
            c.rollback()
    for c in conns:
        c.close()
    print(f"Deadlock over two shards: 40P01 after {statistics.median(took) * 1e3:.0f} ms, at most {max(took) * 1e3:.0f} ms "
          f"({len(took)} times)")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seconds", type=int, default=5)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--scale", type=int, default=10)
    ap.add_argument("--only", default="", help="parts of the names of rows; also: commit, deadlock")
    a = ap.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as insert, tempfile.NamedTemporaryFile("w", suffix=".sql") as hot:
        insert.write("\\set k random(1, 1000000)\nINSERT INTO bench_insert (k, v) VALUES (:k, '" + "x" * 100 + "');\n")
        insert.flush()
        hot.write("UPDATE bench_hot SET v = v + 1 WHERE id = 1;\n")
        hot.flush()
        loads = {
            "insert, 1 client": ["-f", insert.name, "-c", "1"],
            "insert, 64 clients": ["-f", insert.name, "-c", "64", "-j", "2"],
            "point read, prepared, 1 client": ["-S", "-M", "prepared", "-c", "1"],
            "point read, prepared, 32 clients": ["-S", "-M", "prepared", "-c", "32", "-j", "2"],
            f"TPC-B scale {a.scale}, prepared, 1 client": ["-M", "prepared", "-c", "1"],
            f"TPC-B scale {a.scale}, prepared, 32 clients": ["-M", "prepared", "-c", "32", "-j", "2"],
            "one row, prepared, 64 clients": ["-f", hot.name, "-M", "prepared", "-c", "64", "-j", "2"],
        }
        for name in ("oltp_read_write", "oltp_write_only", "oltp_update_index"):
            loads[f"sysbench {name}, 32 threads"] = [name, "", "--threads=32"]
        for level in ("read committed", "serializable"):
            loads[f"sysbench oltp_read_write, 32 threads, both {level.upper()}"] = ["oltp_read_write", level, "--threads=32"]

        def is_wanted(name):
            return not a.only or any(o in name for o in a.only.split(","))

        loads = {k: v for k, v in loads.items() if is_wanted(k)}
        with Postgres() as pg, Sherd() as sherd:
            systems = (pg, sherd)
            for s in systems:
                env = {**os.environ, **s.env()}
                sh(["psql", "-X", "-q", "-c", "CREATE TABLE bench_insert (id bigserial PRIMARY KEY, k int, v text)"], env=env)
                sh(["psql", "-X", "-q", "-c", "CREATE TABLE bench_hot (id int PRIMARY KEY, v bigint)", "-c",
                    "INSERT INTO bench_hot VALUES (1, 0)"], env=env)
                if any("TPC-B" in k or "point read" in k for k in loads):
                    load_tpcb(env, a.scale)
                if any("sysbench" in k for k in loads):
                    sh(["sysbench", "oltp_read_write", *sysbench_options(s.env()), "prepare"])
            print("| load | PostgreSQL tps, avg ms, CPU us | sherd tps, avg ms, CPU us | ratio of tps (rounds) |\n|---|---|---|---|")
            for name, args in loads.items():
                got = {s: [] for s in systems}
                for _ in range(a.rounds):
                    for s in systems:
                        got[s].append((run_sysbench if "sysbench" in name else run)(s, args, a.seconds))
                cells = []
                for s in systems:
                    m = {k: statistics.median(r[k] for r in got[s]) for k in ("tps", "ms", "cpu")}
                    failed = sum(r["failed"] for r in got[s])
                    cells.append(f"{m['tps']:,.0f}, {m['ms']:.2f}, {m['cpu']:.0f}" + (f" ({failed} failed)" if failed else ""))
                ratios = [y["tps"] / x["tps"] for x, y in zip(got[pg], got[sherd])]
                print(f"| {name} | {cells[0]} | {cells[1]} | **{statistics.median(ratios):.2f}** "
                      f"({', '.join(f'{r:.2f}' for r in ratios)}) |", flush=True)
            if is_wanted("commit") or is_wanted("deadlock"):
                env = {**os.environ, **sherd.env()}
                sh(["psql", "-X", "-q", "-c", "CREATE TABLE bench_spread (id int PRIMARY KEY, v bigint) "
                    f"WITH (sharding = 'hash', shards = {SPREAD_SHARDS})",
                    "-c", "INSERT INTO bench_spread SELECT i, 0 FROM generate_series(0, 399) i"], env=env)
            if is_wanted("commit"):
                commit_latency(sherd, a.rounds)
            if is_wanted("deadlock"):
                deadlock_latency(sherd, a.rounds)


if __name__ == "__main__":
    main()
