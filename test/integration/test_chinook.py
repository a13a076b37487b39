#!/usr/bin/python3
"""The Chinook database loads by psql while nodes are killed and started again; nothing is lost.

Takes ../shared/data/chinook when it is there, else test/data/music.sql.
"""
import os
import subprocess
import sys
import threading
import time

from cluster import Cluster, query
from server import metric

HERE = os.path.dirname(os.path.abspath(__file__))
CHINOOK = os.path.join(HERE, "..", "..", "..", "shared", "data", "chinook", "Chinook_PostgreSql.sql")
SMALL = os.path.join(HERE, "..", "data", "music.sql")


def commits(c, node):
    return metric(c.sql_port(node) + 3, "sherd_txn_commits_total")


def main():
    script = CHINOOK if os.path.exists(CHINOOK) else SMALL
    with Cluster() as c:
        load = subprocess.Popen(["psql", "-q", "-h", "127.0.0.1", "-p", str(c.sql_port(1)), "-U", "sherd", "-d", "sherd",
                                 "-v", "ON_ERROR_STOP=1", "-f", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)
        out = []
        reader = threading.Thread(target=lambda: out.append(load.stdout.read()), daemon=True)
        reader.start()
        kills = 0
        while load.poll() is None and kills < 6:
            node = 2 + kills % 2  # not the one psql talks to
            c.kill(node)
            # The load goes on without it for a while: until some more of it is committed.
            before, end = commits(c, 1), time.monotonic() + 30
            while load.poll() is None and commits(c, 1) < before + 20 and time.monotonic() < end:
                time.sleep(0.01)
            c.start(node)
            c.connect_retry(node).close()
            kills += 1
        load.wait(180)
        reader.join(5)
        if load.returncode != 0:
            print("FAILED: psql:", "".join(out)[-2000:])
            return 1
        expected = {}
        if script == CHINOOK:
            expected = {"artist": 275, "album": 347, "track": 3503, "invoice": 412, "invoice_line": 2240,
                        "playlist_track": 8715, "customer": 59, "employee": 8, "genre": 25, "media_type": 5, "playlist": 18}
        else:
            expected = {"artist": 3, "album": 4, "track": 6}
        for node in (1, 2, 3):
            conn = c.connect_retry(node, database="chinook")
            for table, count in expected.items():
                have = query(conn, f"SELECT count(*) FROM {table}")[0][0]
                if have != count:
                    print(f"FAILED: node {node}: {table} has {have} rows, not {count}")
                    return 1
            joined = query(conn, "SELECT count(*) FROM track t JOIN album a ON t.album_id = a.album_id "
                                 "JOIN artist r ON a.artist_id = r.artist_id")[0][0]
            if joined != expected["track"]:
                print(f"FAILED: the join of all tracks has {joined} rows")
                return 1
            conn.close()
        # An index finds what the table has.
        conn = c.connect_retry(1, database="chinook")
        by_index = query(conn, "SELECT count(*) FROM track WHERE album_id = 1")[0][0]
        by_scan = query(conn, "SELECT count(*) FROM track WHERE album_id + 0 = 1")[0][0]
        if by_index != by_scan:
            print(f"FAILED: the index gives {by_index} rows, the table {by_scan}")
            return 1
        print(f"{os.path.basename(script)} loaded beside {kills} kills; cluster up in {c.up_seconds:.2f} s")
        return 0


if __name__ == "__main__":
    sys.exit(main())
