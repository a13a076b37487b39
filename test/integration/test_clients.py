#!/usr/bin/python3
"""Stock clients work unchanged: pgbench (-i and its built-in scripts in all modes), psycopg2, sysbench, sherd sql."""
import os
import re
import subprocess
import sys

import psycopg2

from cluster import Cluster, query


def run(args, timeout=120, env=None):
    r = subprocess.run(args, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
    if r.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: exit {r.returncode}\n{r.stdout[-1500:]}{r.stderr[-1500:]}")
    return r.stdout + r.stderr


def pgbench(c):
    env = {"PGHOST": "127.0.0.1", "PGPORT": str(c.port), "PGUSER": "sherd", "PGDATABASE": "sherd"}
    run(["pgbench", "-i", "-s", "1", "-q"], env=env)
    conn = c.connect()
    if query(conn, "SELECT count(*) FROM pgbench_accounts") != [(100000,)]:
        raise RuntimeError("pgbench -i did not load 100000 rows")
    for script in ("tpcb-like", "simple-update", "select-only"):
        for mode in ("simple", "extended", "prepared"):
            out = run(["pgbench", "-n", "-b", script, "-M", mode, "-c", "4", "-t", "20"], env=env)
            if "80/80" not in out or not re.search(r"number of failed transactions: 0 ", out):
                raise RuntimeError(f"pgbench {script} {mode}:\n{out}")
    sums = query(conn, "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), "
                       "(SELECT sum(bbalance) FROM pgbench_branches)")[0]
    history = query(conn, "SELECT sum(delta) FROM pgbench_history")[0][0]
    # simple-update changes accounts and history only.
    if sums[1] != sums[2] or history != sums[0]:
        raise RuntimeError(f"money is not conserved: {sums}, history {history}")
    conn.close()


def psycopg(c):
    conn = c.connect(2, autocommit=False)
    with conn.cursor() as cur:
        cur.execute("SELECT 1")
    conn.rollback()
    conn.autocommit = True
    query(conn, "CREATE TABLE people (id serial PRIMARY KEY, name varchar(20) NOT NULL UNIQUE, born date, height numeric(5,2),"
                " photo bytea, seen timestamp DEFAULT now(), ok bool CHECK (ok))")
    conn.autocommit = False
    with conn.cursor() as cur:
        cur.execute("INSERT INTO people (name, born, height, photo, ok) VALUES (%s, %s, %s, %s, %s) RETURNING id",
                    ("Ada", "1815-12-10", "1.65", psycopg2.Binary(b"\x00\xff\x01"), True))
        first = cur.fetchone()[0]
        cur.execute("SAVEPOINT s")
        try:
            cur.execute("INSERT INTO people (name) VALUES ('Ada')")
            raise RuntimeError("a duplicate was accepted")
        except psycopg2.errors.UniqueViolation as e:
            if e.diag.constraint_name != "people_name_key":
                raise RuntimeError(f"constraint is {e.diag.constraint_name}")
        cur.execute("ROLLBACK TO s")
        cur.execute("SELECT name, born, height, photo FROM people WHERE id = %s", (first,))
        name, born, height, photo = cur.fetchone()
        if (name, str(born), str(height), bytes(photo)) != ("Ada", "1815-12-10", "1.65", b"\x00\xff\x01"):
            raise RuntimeError("values came back changed")
    conn.commit()
    with conn.cursor(name=None) as cur:
        try:
            cur.execute("INSERT INTO people (name, ok) VALUES ('Bob', false)")
            raise RuntimeError("a CHECK was not checked")
        except psycopg2.errors.CheckViolation:
            conn.rollback()
        try:
            cur.execute("SELECT nothing FROM people")
            raise RuntimeError("an unknown column was accepted")
        except psycopg2.errors.UndefinedColumn:
            conn.rollback()
    conn.close()
    # What one router commits another sees at once.
    other = c.connect(3)
    if query(other, "SELECT name FROM people") != [("Ada",)]:
        raise RuntimeError("node 3 does not see the row")
    other.close()


def sysbench(c):
    base = ["sysbench", "--db-driver=pgsql", "--pgsql-host=127.0.0.1", f"--pgsql-port={c.port}", "--pgsql-user=sherd",
            "--pgsql-db=sherd", "--tables=2", "--table-size=500", "--threads=2", "--events=60", "--time=60"]
    run(base + ["oltp_read_write", "prepare"])
    for name in ("oltp_point_select", "oltp_read_only", "oltp_update_index", "oltp_write_only", "oltp_read_write"):
        run(base + [name, "run"])
    run(base + ["oltp_read_write", "cleanup"])


def cli(c):
    out = c.cli("sql", "-p", str(c.port + 1), "-c", "SELECT 6 * 7 AS answer").stdout
    if "42" not in out:
        raise RuntimeError(f"sherd sql says: {out}")
    bad = c.cli("sql", "-p", str(c.port + 1), "-c", "SELECT broken FROM nowhere", check=False)
    if bad.returncode == 0 or "nowhere" not in bad.stderr + bad.stdout:
        raise RuntimeError("sherd sql does not report an error")


def hostile(c):
    """Bad input gets a clear error and the server stays."""
    conn = c.connect()
    for sql, state in (("SELECT " + "(" * 100000 + "1" + ")" * 100000, "54001"),
                       ("SELECT '" + "x" * 10_000_000 + "' = 'y' AS big", None),
                       ("SELEC 1", "42601")):
        try:
            query(conn, sql)
            if state:
                raise RuntimeError(f"{sql[:20]}... was accepted")
        except psycopg2.Error as e:
            if e.pgcode is None or (state and e.pgcode != state):
                raise RuntimeError(f"{sql[:20]}...: SQLSTATE {e.pgcode}, not {state}: {e}")
    if query(conn, "SELECT 1") != [(1,)]:
        raise RuntimeError("the session is gone")
    conn.close()


def main():
    which = sys.argv[1:] or ["psycopg", "cli", "hostile", "pgbench", "sysbench"]
    with Cluster() as c:
        for name in which:
            globals()[name](c)
            print(f"{name}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
