#!/usr/bin/python3
"""Transaction statements beside PostgreSQL 15: the same messages go to both, and what comes back is compared by message
kind, command tag, SQLSTATE, warning and transaction status. Needs root: PostgreSQL runs as user postgres."""
import os
import shutil
import subprocess
import sys
import tempfile

from cluster import Cluster, free_port_range
from wire import Wire, fields, row

PG = "/usr/lib/postgresql/15/bin"


class Postgres:
    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="pg-test-")
        shutil.chown(self.dir, "postgres", "postgres")
        self.port = free_port_range(1)
        self.run(f"{PG}/initdb", "-D", f"{self.dir}/data", "-A", "trust", "-U", "sherd", "--locale=C.UTF-8", "-N")
        with open(f"{self.dir}/data/postgresql.conf", "a") as f:
            f.write(f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{self.dir}'\nfsync = off\n"
                    "default_transaction_isolation = 'serializable'\n")
        self.run(f"{PG}/pg_ctl", "-D", f"{self.dir}/data", "-w", "-l", f"{self.dir}/log", "-o", f"-p {self.port}", "start")
        self.run("psql", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", "sherd", "-d", "postgres", "-c", "CREATE DATABASE sherd")
        return self

    def run(self, *args):
        r = subprocess.run(["runuser", "-u", "postgres", "--", *args], capture_output=True, text=True, cwd="/")
        if r.returncode != 0:
            raise RuntimeError(f"{' '.join(args)}: {r.stdout[-800:]}{r.stderr[-800:]}")

    def __exit__(self, *_):
        subprocess.run(["runuser", "-u", "postgres", "--", f"{PG}/pg_ctl", "-D", f"{self.dir}/data", "-m", "immediate", "stop"],
                       capture_output=True, cwd="/")
        shutil.rmtree(self.dir, ignore_errors=True)


def seen(messages):
    out = []
    for kind, body in messages:
        if kind == b"C":
            out.append(body[:-1].decode())
        elif kind in b"EN":
            f = fields(body)
            if kind == b"N" and f["S"] == "NOTICE":
                continue
            out.append(f"{f['S']} {f['C']}")
        elif kind == b"D":
            out.append(row(body))
        elif kind == b"Z":
            out.append(f"[{body.decode()}]")
        elif kind == b"s":
            out.append("suspended")
        elif kind == b"I":
            out.append("empty")
    return out


def pipe(*statements):
    return ("pipe", statements)


T = "CREATE TABLE t (id int PRIMARY KEY, v int)"
SHOW = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), " \
       "current_setting('transaction_deferrable')"

# Each case on a connection of its own, with the table t of (1, 10), (2, 20).
DECLARE = "DECLARE c CURSOR FOR SELECT id, v FROM t ORDER BY id"
SCROLL = "DECLARE c SCROLL CURSOR FOR SELECT i FROM generate_series(1, 7) i"
HOLD = "DECLARE c CURSOR WITH HOLD FOR SELECT id, v FROM t ORDER BY id"
SCROLLED = [f"{what} {how} c" for how in (
    "NEXT", "PRIOR", "PRIOR", "ABSOLUTE 3", "RELATIVE 0", "0", "RELATIVE 2", "RELATIVE -1", "BACKWARD 2", "FORWARD -1", "BACKWARD -3", "BACKWARD 0", "LAST", "NEXT", "NEXT",
    "PRIOR", "FIRST", "PRIOR", "NEXT", "ALL", "BACKWARD ALL", "ABSOLUTE 0", "2", "ABSOLUTE -1", "ABSOLUTE -7", "ABSOLUTE -8", "NEXT", "ABSOLUTE 8", "RELATIVE -1", "RELATIVE 1000",
    "BACKWARD 100", "FORWARD 7", "NEXT", "BACKWARD 7", "RELATIVE 7", "ABSOLUTE 100", "RELATIVE -8", "FORWARD ALL") for what in ("FETCH", "MOVE")]

CASES = {
    "no transaction": ["COMMIT", "ROLLBACK", "END", "ABORT", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN",
                       "SET TRANSACTION READ ONLY", "SET LOCAL search_path = public"],
    "twice": ["BEGIN", "BEGIN", "START TRANSACTION", "COMMIT", "COMMIT"],
    "tags": ["START TRANSACTION", "END", "BEGIN WORK", "ABORT", "BEGIN TRANSACTION", "COMMIT WORK", "BEGIN", "ROLLBACK TRANSACTION"],
    "failed": ["BEGIN", "SELECT 1/0", "SELECT 1", "SET search_path = public", "SHOW search_path", "BEGIN", "SAVEPOINT a", "RELEASE a", "PREPARE p AS SELECT 1",
               "COMMIT", "SELECT 1"],
    "failed, rolled back": ["BEGIN", "INSERT INTO t VALUES (3, 30)", "INSERT INTO t VALUES (1, 1)", "ROLLBACK", "SELECT count(*) FROM t"],
    "failed, syntax": ["BEGIN", "SELEC 1", "SELECT 1", "ROLLBACK"],
    "failed, empty": ["BEGIN", "SELECT 1/0", "", ";", "ROLLBACK"],
    "failed, chain": ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1/0", "COMMIT AND CHAIN", SHOW, "SELECT 1/0", "ROLLBACK AND CHAIN", SHOW, "COMMIT"],
    "savepoints": ["BEGIN", "SAVEPOINT a", "INSERT INTO t VALUES (3, 30)", "SAVEPOINT a", "INSERT INTO t VALUES (4, 40)", "ROLLBACK TO a", "SELECT id FROM t ORDER BY id",
                   "RELEASE a", "ROLLBACK TO SAVEPOINT a", "SELECT id FROM t ORDER BY id", "ROLLBACK TO b", "ROLLBACK TO a", "RELEASE SAVEPOINT a", "RELEASE a", "COMMIT"],
    "savepoint after failure": ["BEGIN", "SAVEPOINT a", "SELECT 1/0", "RELEASE a", "SAVEPOINT b", "ROLLBACK TO a", "INSERT INTO t VALUES (5, 50)", "COMMIT",
                                "SELECT id FROM t ORDER BY id"],
    "savepoint and SET": ["BEGIN", "SET application_name = 'one'", "SAVEPOINT a", "SET application_name = 'two'", "ROLLBACK TO a", "SHOW application_name", "COMMIT",
                          "SHOW application_name", "BEGIN", "SET application_name = 'three'", "ROLLBACK", "SHOW application_name"],
    "chain": ["BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", SHOW, "COMMIT AND CHAIN", SHOW, "ROLLBACK AND CHAIN", SHOW, "COMMIT AND NO CHAIN", SHOW,
              "BEGIN", "INSERT INTO t VALUES (6, 60)", "COMMIT AND CHAIN", "INSERT INTO t VALUES (7, 70)", "ROLLBACK AND CHAIN", "SELECT id FROM t ORDER BY id", "COMMIT"],
    "read only": ["BEGIN READ ONLY", "SELECT count(*) FROM t", "INSERT INTO t VALUES (8, 80)", "ROLLBACK", "BEGIN READ ONLY", "UPDATE t SET v = 0", "ROLLBACK",
                  "BEGIN READ ONLY", "SELECT * FROM t WHERE id = 1 FOR UPDATE", "ROLLBACK", "BEGIN READ ONLY", "DELETE FROM t", "ROLLBACK",
                  "BEGIN READ ONLY", "UPDATE t SET v = 0 WHERE false", "ROLLBACK",
                  "BEGIN READ ONLY", "CREATE TABLE u (a int)", "ROLLBACK", "BEGIN READ ONLY", "TRUNCATE t", "ROLLBACK",
                  "BEGIN READ ONLY", "DROP TABLE t", "ROLLBACK", "BEGIN READ ONLY", "COPY t FROM STDIN", "ROLLBACK",
                  "BEGIN READ ONLY", "SELECT nextval('s')", "ROLLBACK"],
    "read only, default": ["SET default_transaction_read_only = on", "INSERT INTO t VALUES (9, 90)", "SHOW transaction_read_only", "BEGIN READ WRITE", "INSERT INTO t VALUES (9, 90)",
                           "ROLLBACK", "CREATE TABLE u (a int)", "BEGIN", "SET TRANSACTION READ WRITE", "INSERT INTO t VALUES (9, 90)", "ROLLBACK",
                           "SET default_transaction_read_only = off", "INSERT INTO t VALUES (9, 90)"],
    "read only, set": ["BEGIN", "INSERT INTO t VALUES (10, 1)", "SET TRANSACTION READ ONLY", "SELECT 1", "INSERT INTO t VALUES (11, 1)", "ROLLBACK",
                       "BEGIN READ ONLY", "SELECT count(*) > 0 FROM t", "SET TRANSACTION READ WRITE", "ROLLBACK",
                       "BEGIN READ ONLY", "SET TRANSACTION READ WRITE", "INSERT INTO t VALUES (11, 1)", "ROLLBACK",
                       "BEGIN", "SET LOCAL transaction_read_only = on", "INSERT INTO t VALUES (11, 1)", "ROLLBACK",
                       "BEGIN", "SET transaction_read_only = on", "INSERT INTO t VALUES (11, 1)", "ROLLBACK", "SHOW transaction_read_only"],
    "read uncommitted": ["BEGIN ISOLATION LEVEL READ UNCOMMITTED", "SHOW transaction_isolation", "COMMIT"],
    "isolation": ["BEGIN ISOLATION LEVEL SERIALIZABLE", SHOW, "COMMIT",
                  "BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", SHOW, "SELECT count(*) > 0 FROM t", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "ROLLBACK",
                  "BEGIN", "SELECT 1", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "ROLLBACK",
                  "BEGIN", "SAVEPOINT a", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "ROLLBACK",
                  "SHOW TRANSACTION ISOLATION LEVEL", "SET transaction_isolation = 'read committed'", "SHOW transaction_isolation",
                  "BEGIN", "SET transaction_isolation = 'repeatable read'", "SHOW transaction_isolation", "COMMIT", "SHOW transaction_isolation",
                  "BEGIN", "SET transaction_isolation = 'nonsense'", "ROLLBACK",
                  "BEGIN", "SET LOCAL transaction_isolation = 'read committed'", SHOW, "COMMIT"],
    "defaults": ["SET default_transaction_isolation = 'read committed'", SHOW, "BEGIN", SHOW, "COMMIT", "SET default_transaction_isolation = 'repeatable read'", "BEGIN", SHOW, "COMMIT",
                 "SET default_transaction_deferrable = on", "BEGIN", SHOW, "COMMIT", "SET default_transaction_isolation = 'other'", "RESET default_transaction_isolation", SHOW,
                 "SET default_transaction_isolation TO DEFAULT", SHOW, "RESET ALL", SHOW],
    "characteristics": ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", SHOW, "SHOW default_transaction_isolation", "SHOW default_transaction_read_only",
                        "BEGIN", SHOW, "COMMIT", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, NOT DEFERRABLE", "SHOW default_transaction_read_only",
                        "BEGIN", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED", SHOW, "COMMIT", "BEGIN", SHOW, "ROLLBACK"],
    "deferrable": ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", SHOW, "SELECT count(*) > 0 FROM t", "COMMIT", "BEGIN NOT DEFERRABLE", SHOW, "SET TRANSACTION DEFERRABLE", SHOW,
                   "SELECT count(*) > 0 FROM t", "SET TRANSACTION NOT DEFERRABLE", "ROLLBACK", "BEGIN DEFERRABLE READ ONLY", "COMMIT AND CHAIN", SHOW, "COMMIT"],
    "several in one": ["SELECT 1; SELECT 2", "INSERT INTO t VALUES (20, 1); SELECT 1/0; INSERT INTO t VALUES (21, 1)", "SELECT count(*) FROM t WHERE id >= 20",
                       "BEGIN; INSERT INTO t VALUES (22, 1); COMMIT; INSERT INTO t VALUES (23, 1); SELECT 1/0", "SELECT id FROM t WHERE id >= 20",
                       "INSERT INTO t VALUES (24, 1); BEGIN; SELECT 1/0; COMMIT", "ROLLBACK", "SELECT id FROM t WHERE id >= 20",
                       "INSERT INTO t VALUES (25, 1); COMMIT; SELECT 1/0", "SELECT id FROM t WHERE id >= 20",
                       "INSERT INTO t VALUES (26, 1); ROLLBACK; SELECT 1", "SELECT id FROM t WHERE id >= 20",
                       "INSERT INTO t VALUES (27, 1); BEGIN; INSERT INTO t VALUES (28, 1)", "ROLLBACK", "SELECT id FROM t WHERE id >= 20",
                       "SELECT 1; SAVEPOINT a", "BEGIN; SAVEPOINT a; SELECT 1/0; ROLLBACK TO a; SELECT 3", "ROLLBACK",
                       "BEGIN; SELECT 1/0; ROLLBACK", "ROLLBACK", ";;", "SELECT 1;;SELECT 2;", "SELECT 1; COMMIT AND CHAIN; SELECT 2", "SELECT 1; SELEC 2",
                       "SET LOCAL application_name = 'x'; SHOW application_name", "SHOW application_name",
                       "SELECT 1; SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET TRANSACTION READ ONLY; INSERT INTO t VALUES (29, 1)",
                       "SELECT 1; ROLLBACK AND CHAIN", "ROLLBACK"],
    "extended": [pipe("BEGIN"), pipe("INSERT INTO t VALUES (30, 1)"), pipe("COMMIT"), pipe(("SELECT v FROM t WHERE id = $1", 30)),
                 pipe("INSERT INTO t VALUES (31, 1)", "SELECT 1/0", "INSERT INTO t VALUES (32, 1)"), "SELECT id FROM t WHERE id > 30",
                 pipe("INSERT INTO t VALUES (31, 1)", "INSERT INTO t VALUES (32, 1)"), "SELECT id FROM t WHERE id > 30",
                 pipe("BEGIN", "SELECT 1/0"), pipe("SELECT 1"), pipe("ROLLBACK"),
                 pipe("BEGIN", "INSERT INTO t VALUES (33, 1)", "COMMIT", "SELECT 1/0"), "SELECT id FROM t WHERE id > 32",
                 pipe("INSERT INTO t VALUES (34, 1)", "BEGIN", "SELECT 1/0"), "ROLLBACK", "SELECT id FROM t WHERE id > 33",
                 pipe("INSERT INTO t VALUES (35, 1)", "COMMIT", "SELECT 1/0"), "SELECT id FROM t WHERE id > 33",
                 pipe("COMMIT"), pipe("ROLLBACK"), pipe(""), pipe("BEGIN", "SAVEPOINT a", "SELECT 1/0"), pipe("ROLLBACK TO a", "SELECT 1"), pipe("COMMIT"),
                 pipe("SAVEPOINT a"), pipe("SET LOCAL application_name = 'x'", "SHOW application_name"), "SHOW application_name",
                 pipe("BEGIN"), pipe("SHOW transaction_isolation"), pipe("SET TRANSACTION READ ONLY"), pipe("INSERT INTO t VALUES (36, 1)"), pipe("ROLLBACK")],
    "discard": ["BEGIN", "DISCARD ALL", "ROLLBACK", "DISCARD ALL", "PREPARE q AS SELECT 1", "EXECUTE q", "DISCARD PLANS", "EXECUTE q", "DEALLOCATE q", "EXECUTE q",
                "BEGIN", "VACUUM", "ROLLBACK", "BEGIN", "CREATE DATABASE other", "ROLLBACK", "SELECT 1; VACUUM", "SELECT 1; CREATE DATABASE other"],
    "prepared transactions": ["COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"],
    "timeouts": ["SET statement_timeout = '50ms'", "SELECT pg_sleep(5)", "SHOW statement_timeout", "BEGIN", "SELECT pg_sleep(5)", "SELECT 1", "ROLLBACK",
                 "SET statement_timeout = -1", "SET statement_timeout = 'x'", "SET lock_timeout = '1 min'", "SHOW lock_timeout", "SET statement_timeout = 0", "SHOW statement_timeout",
                 "SET idle_in_transaction_session_timeout = 60000", "SHOW idle_in_transaction_session_timeout", "SET idle_session_timeout = '2h'", "SHOW idle_session_timeout"],
    "cursors, failing": ["BEGIN", "DECLARE c CURSOR FOR SELECT 1/0", "FETCH c", "ROLLBACK"],
    "cursors": ["DECLARE c CURSOR FOR SELECT 1", "BEGIN", "DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", "FETCH c", "FETCH 1 FROM c", "FETCH NEXT FROM c", "FETCH ALL c",
                "CLOSE c", "CLOSE c", "ROLLBACK", "FETCH c",
                "BEGIN", "DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT i FROM generate_series(1, 10) i", "DECLARE c CURSOR FOR SELECT 1", "ROLLBACK",
                "BEGIN", "DECLARE c NO SCROLL CURSOR FOR SELECT i FROM generate_series(1, 10) i", "MOVE 3 c", "FETCH 2 c", "FETCH FORWARD 2 c", "FETCH 0 c", "MOVE ALL c", "FETCH c",
                "CLOSE ALL", "FETCH c", "COMMIT",
                "BEGIN", "DECLARE c NO SCROLL CURSOR FOR SELECT 1", "FETCH BACKWARD 1 c", "ROLLBACK",
                "BEGIN", "SAVEPOINT a", "DECLARE c CURSOR FOR SELECT 1", "ROLLBACK TO a", "FETCH c", "ROLLBACK",
                pipe("BEGIN"), pipe("DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id"), pipe("FETCH 1 c"), pipe("FETCH ALL FROM c"), pipe("CLOSE c"), pipe("COMMIT")],
    "cursors, the same text twice": ["BEGIN", DECLARE, "FETCH 1 c", "COMMIT", "BEGIN", DECLARE, "FETCH 1 c", "COMMIT", "BEGIN; " + DECLARE + "; FETCH ALL c; COMMIT",
                                     "BEGIN", pipe(DECLARE), pipe("FETCH 1 c"), "COMMIT", "BEGIN", pipe(DECLARE), pipe("FETCH 1 c"), "COMMIT"],
    "cursors and own writes": ["BEGIN", DECLARE, "INSERT INTO t VALUES (3, 30)", "UPDATE t SET v = v + 1", "FETCH 1 c", "DELETE FROM t", "FETCH ALL c", "SELECT count(*) FROM t", "ROLLBACK",
                               "BEGIN", "INSERT INTO t SELECT i, i FROM generate_series(100, 3000) i", DECLARE, "FETCH 2 c", "DELETE FROM t WHERE id > 200", "FETCH 1 c", "MOVE 2890 c",
                               "FETCH 10 c", "FETCH 10 c", "FETCH 1 c", "SELECT count(*) FROM t", "ROLLBACK",
                               "BEGIN", DECLARE, "FETCH 1 c", "TRUNCATE t", "FETCH 1  c", "ROLLBACK",
                               "BEGIN", DECLARE, "FETCH 1 c", "CREATE TABLE made (id int)", "INSERT INTO made VALUES (1)", "FETCH ALL c", "ROLLBACK",
                               "BEGIN", "DECLARE c INSENSITIVE CURSOR FOR SELECT * FROM t ORDER BY id", "UPDATE t SET v = 0", "FETCH ALL c", "ROLLBACK",
                               "BEGIN", "DECLARE c INSENSITIVE CURSOR FOR SELECT * FROM t FOR UPDATE", "ROLLBACK",
                               "BEGIN", "DECLARE c CURSOR FOR SELECT * FROM t ORDER BY id FOR UPDATE", "FETCH 1 c", "UPDATE t SET v = v + 1 WHERE id = 1", "FETCH 1 c", "FETCH 1 c", "ROLLBACK"],
    "cursors and savepoints": ["BEGIN", DECLARE, "FETCH 1 c", "SAVEPOINT a", "DECLARE d CURSOR FOR SELECT 1", "FETCH 1 c", "ROLLBACK TO a", "FETCH 1 d", "ROLLBACK",
                               "BEGIN", DECLARE, "SAVEPOINT a", "FETCH 1 c", "ROLLBACK TO a", "FETCH 1 c", "FETCH 1 c", "ROLLBACK",
                               "BEGIN", DECLARE, "SAVEPOINT a", "UPDATE t SET v = 0", "FETCH 1 c", "ROLLBACK TO a", "FETCH 1 c", "SELECT v FROM t ORDER BY id", "ROLLBACK",
                               "BEGIN", DECLARE, "SAVEPOINT a", "SELECT 1 / 0", "ROLLBACK TO a", "FETCH ALL c", "ROLLBACK",
                               "BEGIN", "SAVEPOINT a", DECLARE, "SAVEPOINT b", "ROLLBACK TO b", "FETCH 1 c", "RELEASE a", "FETCH 1 c", "ROLLBACK",
                               "BEGIN", "SAVEPOINT a", "SAVEPOINT b", DECLARE, "RELEASE b", "FETCH 1 c", "ROLLBACK TO a", "ROLLBACK",
                               "BEGIN", "UPDATE t SET v = 5 WHERE id = 1", DECLARE, "SAVEPOINT a", "INSERT INTO t VALUES (0, 0)", "ROLLBACK TO a", "FETCH ALL c", "ROLLBACK"],
    "cursors, scroll": ["BEGIN", SCROLL, *SCROLLED, "ROLLBACK",
                        "BEGIN", SCROLL, "FETCH LAST c", "DELETE FROM t", "FETCH PRIOR c", "FETCH BACKWARD ALL c", "FETCH ALL c", "ROLLBACK",
                        "BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT 1 WHERE false", "FETCH LAST c", "FETCH FIRST c", "FETCH BACKWARD ALL c", "FETCH ALL c", "FETCH 0 c", "MOVE ABSOLUTE 5 c", "ROLLBACK",
                        "BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT * FROM t FOR UPDATE", "ROLLBACK",
                        "BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT i FROM generate_series(1, 3000) i", "FETCH ABSOLUTE 2999 c", "FETCH RELATIVE -2500 c", "FETCH BACKWARD 3 c", "MOVE ALL c",
                        "FETCH BACKWARD 2 c", "ROLLBACK"],
    "cursors, hold": ["BEGIN", HOLD, "FETCH 1 c", "UPDATE t SET v = 0", "COMMIT", "FETCH 1 c", "INSERT INTO t VALUES (50, 1)", "FETCH 1 c", "FETCH 1 c", "CLOSE c", "FETCH 1 c",
                      HOLD, "FETCH 2 c", "BEGIN", "FETCH 1 c", "ROLLBACK", "FETCH 1 c", HOLD, "CLOSE ALL", "FETCH 1 c",
                      "BEGIN", HOLD, "ROLLBACK", "FETCH 1 c", "BEGIN", HOLD, "SELECT 1 / 0", "COMMIT", "FETCH 1 c",
                      "BEGIN", "SAVEPOINT a", HOLD, "ROLLBACK TO a", "COMMIT", "FETCH 1 c",
                      "BEGIN", "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 5) i", "FETCH 2 c", "COMMIT", "FETCH BACKWARD 1 c", "FETCH LAST c", "FETCH ABSOLUTE 2 c",
                      "DISCARD ALL", "FETCH 1 c", "BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t FOR SHARE", "ROLLBACK",
                      HOLD + "; SELECT 1", "FETCH 1 c", "CLOSE c", HOLD + "; SELECT 1 / 0", "FETCH 1 c", pipe(HOLD), pipe("FETCH 1 c"), pipe("CLOSE c"),
                      "BEGIN", HOLD, "SAVEPOINT a", "COMMIT", "BEGIN", "SAVEPOINT b", "ROLLBACK TO b", "FETCH 1 c", "SELECT 1 / 0", "ROLLBACK", "FETCH 1 c"],
}

# (case, step): why sherd answers otherwise.
KEPT = "a chain keeps the transaction's modes also after a failure, as the manual says; PostgreSQL 15 goes back to the defaults"
TWO_PHASE = "no two-phase commit by clients, PostgreSQL knows the statement but not the name"
DIFFERENT = {
    ("failed, chain", SHOW): KEPT,
    ("read uncommitted", "SHOW transaction_isolation"): "READ UNCOMMITTED is READ COMMITTED, and says so",
    ("prepared transactions", "COMMIT PREPARED 'x'"): TWO_PHASE,
    ("prepared transactions", "ROLLBACK PREPARED 'x'"): TWO_PHASE,
    ("cursors, failing", "DECLARE c CURSOR FOR SELECT 1/0"): "constants are computed when the cursor is read",
    ("cursors, failing", "FETCH c"): "likewise",
    ("cursors and own writes", "TRUNCATE t"): "a cursor keeps its rows, so nothing has to be refused; PostgreSQL throws the table's files away",
    ("cursors and own writes", "FETCH 1  c"): "likewise",
}


def run_case(port, steps):
    setup = Wire(port)
    for sql in ("DROP TABLE IF EXISTS t", T, "INSERT INTO t VALUES (1, 10), (2, 20)", "DROP SEQUENCE IF EXISTS s", "CREATE SEQUENCE s"):
        setup.rows(sql)
    setup.close()
    w = Wire(port)
    out = []
    for step in steps:
        out.append(seen(w.extended(*step[1]) if isinstance(step, tuple) else w.query(step)))
        if isinstance(step, str) and step.startswith("COPY") and out[-1] == []:
            raise RuntimeError("COPY was accepted")
    w.close()
    return out


def main():
    wrong = 0
    used = set()
    only = sys.argv[1:]
    with Cluster(1) as c, Postgres() as pg:
        for name, steps in CASES.items():
            if only and name not in only:
                continue
            ours, theirs = run_case(c.port, steps), run_case(pg.port, steps)
            for i, (a, b) in enumerate(zip(ours, theirs)):
                if a == b:
                    continue
                text = steps[i] if isinstance(steps[i], str) else " | ".join(str(s) for s in steps[i][1])
                if (name, text) in DIFFERENT:
                    used.add((name, text))
                    continue
                wrong += 1
                print(f"{name}, step {i}: {text}\n  sherd      {a}\n  PostgreSQL {b}")
        print(f"{sum(len(s) for s in CASES.values())} statements, {wrong} differ without a reason, {len(used)} with one")
    for key in DIFFERENT.keys() - used if not only else ():
        wrong += 1
        print(f"listed as different, but the same: {key}")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
