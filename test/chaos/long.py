#!/usr/bin/python3
"""Long transactions while shards split and leaders move: no client hears of it.

usage: long.py [--seconds N] [--faults restart,kill] [--only copy,block,insert] [--seed N]   (SHERD_BIN: the binaries)

Clients at a router that stays up load rows: COPY of some seconds, a block of thousands of statements, INSERT from a
query. Meanwhile shards split all the time (they are small), and the storage nodes are stopped and started again, one
by one, as for an upgrade (restart: SIGTERM, leaderships are handed over), or killed (kill: SIGKILL).

What the server may not let through: an error where nothing that a client did was wrong. Of a restart, none at all. Of a
kill, 40001 for the block and for COPY of more than what the router keeps of one (docs/TRANSACTIONS.md). Every
acknowledged load is there as a whole and once, a refused one is not. Exit code 1 if not.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import threading
import time

import psycopg2

import client
from nodes import Cluster

DEADLINE = 120.0
LOADS = {"copy": 20000, "bigcopy": 120000, "block": 3000, "insert": 20000}  # rows of each
PAD = "x" * 160


class Refused(Exception):
    """SQLSTATE and message."""


class Loader(threading.Thread):
    """One kind of load, one after the other; each has a number, its rows carry it."""

    def __init__(self, cluster, kind):
        super().__init__(daemon=True)
        self.node, self.kind = cluster.only_routers[0], kind
        self.stop = threading.Event()
        self.times = []
        self.loaded, self.unknown, self.refused = [], [], []  # numbers; of the refused with the reason
        self.failure = None

    def run(self):
        try:
            n = 0
            while not self.stop.is_set():
                n += 1
                self.load_one(n)
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e
            raise

    def load_one(self, n):
        session = client.Session(self.node, DEADLINE)
        begin = time.monotonic()
        try:
            session.connect()
            getattr(self, self.kind)(session, n, LOADS[self.kind])
            self.loaded.append(n)
            self.times.append(time.monotonic() - begin)
        except (psycopg2.Error, client.Timeout) as e:
            kind, text = client.outcome(session, e)
            (self.unknown if kind == "info" else self.refused).append((n, text, " ".join(str(e).split())[:200]))
        except Refused as e:
            (self.unknown if e.args[0].startswith(client.UNSURE) else self.refused).append((n, *e.args))
        finally:
            session.close()

    def copy(self, _, n, rows):
        """By psql: psycopg2 has no COPY for connections with deadlines."""
        r = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-h", self.node.host,
                            "-p", str(self.node.sql_port), "-U", "sherd", "-c", f"COPY load_{self.kind} FROM STDIN",
                            "sherd"],
                           input="".join(f"{n}\t{i}\t{PAD}\n" for i in range(rows)), capture_output=True, text=True,
                           timeout=DEADLINE, check=False)
        if r.returncode != 0:
            found = re.search(r"(?:ERROR|FATAL): +(\w{5}): (.*)", r.stderr)
            raise Refused(*(found.groups() if found else ("08006", r.stderr.strip())))

    bigcopy = copy

    def block(self, session, n, rows):
        session.begin()
        for i in range(rows):
            session.sql("INSERT INTO load_block VALUES (%s, %s, %s)", (n, i, PAD))
        session.commit()

    def insert(self, session, n, rows):
        session.auto("INSERT INTO load_insert SELECT %s, i, %s FROM generate_series(0, %s) i", (n, PAD, rows - 1))


def restart(node, cluster, how):
    if how == "kill":
        node.kill()
    else:
        node.terminate(30)
    node.start()
    cluster.wait_ready(60, [node])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seconds", type=float, default=60)
    ap.add_argument("--faults", default="restart")
    ap.add_argument("--only", default="copy,bigcopy,block,insert")
    ap.add_argument("--seed", type=int, default=random.randrange(1000000))
    args = ap.parse_args()
    rng = random.Random(args.seed)
    wrong, faults = [], [f for f in args.faults.split(",") if f]
    with Cluster(3, 1, storage_settings={"shard_max_mb": 4}) as cluster:
        cluster.start()
        session = client.Session(cluster.only_routers[0], 60)
        session.connect()
        kinds = args.only.split(",")
        for kind in kinds:
            session.sql(f"CREATE TABLE load_{kind} (n int NOT NULL, i int NOT NULL, pad text, PRIMARY KEY (i, n))")
        loaders = [Loader(cluster, k) for k in kinds]
        for x in loaders:
            x.start()
        end, restarts = time.monotonic() + args.seconds, 0
        while time.monotonic() < end:
            time.sleep(rng.uniform(3, 6))
            if faults:
                restart(rng.choice(cluster.storage), cluster, faults[restarts % len(faults)])
                restarts += 1
        for x in loaders:
            x.stop.set()
        for x in loaders:
            x.join(DEADLINE * 2)
            if x.is_alive() or x.failure is not None:
                wrong.append(f"{x.kind}: {x.failure!r}, alive {x.is_alive()}")
        shards = len(cluster.status()["shards"])
        print(f"{args.seconds:.0f} s, {restarts} of {args.faults}, {shards} shards, seed {args.seed}, "
              f"load average {os.getloadavg()[0]:.1f}")
        for x in loaders:
            have = dict(session.sql(f"SELECT n, count(*) FROM load_{x.kind} GROUP BY n"))
            unknown = {n for n, *_ in x.unknown}
            wrong += [f"{x.kind} {n}: {have.get(n, 0)} rows of an acknowledged load" for n in x.loaded
                      if have.get(n) != LOADS[x.kind]]
            wrong += [f"{x.kind} {n}: {c} rows of a load that was not acknowledged" for n, c in have.items()
                      if n not in x.loaded and not (n in unknown and c == LOADS[x.kind])]
            errors = {}
            for _, text, message in x.refused + x.unknown:
                errors.setdefault((text, message), []).append(1)
            print(f"    {x.kind}: {len(x.loaded)} loaded, longest {max(x.times, default=0):.1f} s; "
                  + (", ".join(f"{t} {m} x{len(v)}" for (t, m), v in errors.items()) or "no errors"))
            if not x.loaded:
                wrong.append(f"{x.kind}: nothing was loaded")
            for (text, message), _ in errors.items():
                if not (text == "40001" and "kill" in faults and x.kind in ("block", "bigcopy")):
                    wrong.append(f"{x.kind}: {text} {message}")
        session.close()
        if wrong and os.environ.get("KEEP_LOGS"):
            os.system(f"cp -r {cluster.dir} {os.environ['KEEP_LOGS']}")
    for text in wrong[:20]:
        print(f"  FAILED {text}")
    print("FAIL" if wrong else "PASS")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
