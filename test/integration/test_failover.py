#!/usr/bin/python3
"""kill -9 of the leader under load: writes go on, no acknowledged row is missing, none is there twice.

usage: test_failover.py [--kills N]     (SHERD_BIN names the directory of the binaries)
"""
import argparse
import sys
import threading
import time

import psycopg2

from cluster import Cluster, query
from server import await_that


class Writer(threading.Thread):
    """Inserts one row after the other; after an error it goes to the next node. A row whose outcome is unknown is
    not counted as acknowledged, and is not written again under the same number."""

    def __init__(self, cluster, name):
        super().__init__(daemon=True)
        self.cluster, self.name = cluster, name
        self.acknowledged, self.unknown, self.refused = [], [], []
        self.times = []
        self.stop = False

    def run(self):
        node, conn, n = 1, None, 0
        while not self.stop:
            try:
                if conn is None:
                    conn = self.cluster.connect(node)
            except psycopg2.Error:
                node = node % self.cluster.nodes + 1
                continue
            n += 1
            try:
                with conn.cursor() as cur:
                    cur.execute("INSERT INTO written (writer, n) VALUES (%s, %s)", (self.name, n))
                self.acknowledged.append(n)
                self.times.append(time.monotonic())
            except psycopg2.Error as e:
                # A broken connection or 08007: it may have been committed. Any other SQLSTATE is a promise that not.
                state = e.pgcode
                (self.unknown if state is None or state == "08007" else self.refused).append(n)
                if state is None or state.startswith("08") or state.startswith("57P"):
                    conn.close()
                    conn = None
                    node = node % self.cluster.nodes + 1


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--kills", type=int, default=4)
    args = ap.parse_args()
    with Cluster() as c:
        conn = c.connect()
        # No key: a double insert would show.
        query(conn, "CREATE TABLE written (writer text NOT NULL, n int NOT NULL)")
        writers = [Writer(c, f"w{i}") for i in range(4)]
        for w in writers:
            w.start()
        await_that(lambda: all(len(w.acknowledged) >= 20 for w in writers), "every writer is at work")
        gaps = []
        for k in range(args.kills):
            leader = c.shard_leader() or 1 + k % 3
            at = time.monotonic()
            c.kill(leader)
            killed = time.monotonic()
            # The event: some write that began after the kill is acknowledged.
            while True:
                done = [t for w in writers for t in w.times[-3:] if t > killed + 0.05]
                if done:
                    break
                if time.monotonic() > killed + 30:
                    print("FAILED: no write within 30 s of the kill")
                    return 1
                time.sleep(0.005)
            before = max((t for w in writers for t in w.times if t < killed + 0.05), default=at)
            gaps.append(min(done) - before)
            c.start(leader)
            end = time.monotonic() + 20
            while True:
                try:
                    query(c.connect(leader), "SELECT 1")
                    break
                except psycopg2.Error:
                    if time.monotonic() > end:
                        print(f"FAILED: node {leader} does not serve 20 s after its start")
                        return 1
                    time.sleep(0.05)
        for w in writers:
            w.stop = True
        for w in writers:
            w.join(30)
        conn = c.connect_retry()
        missing = doubled = ghosts = 0
        for w in writers:
            rows = [r[0] for r in query(conn, "SELECT n FROM written WHERE writer = %s", (w.name,))]
            have = set(rows)
            doubled += len(rows) - len(have)
            missing += len(set(w.acknowledged) - have)
            ghosts += len(have & set(w.refused))
        gaps.sort()
        total = sum(len(w.acknowledged) for w in writers)
        print(f"{total} acknowledged, {sum(len(w.unknown) for w in writers)} unknown, {args.kills} kills: "
              f"gap median {gaps[len(gaps) // 2]:.2f} s, worst {gaps[-1]:.2f} s; "
              f"missing {missing}, doubled {doubled}, refused and there {ghosts}")
        return 1 if missing or doubled or ghosts else 0


if __name__ == "__main__":
    sys.exit(main())
