#!/usr/bin/python3
"""Drivers of other languages against a real cluster: PostgreSQL's JDBC driver, node-postgres, SQLAlchemy.

The programs are in test/clients. A driver that is not installed is skipped, and the test says so: JDBC comes from
Debian's libpostgresql-jdbc-java (with a JDK), node-postgres from node-pg, SQLAlchemy from python3-sqlalchemy.

usage: test_drivers.py PROGRAM...
"""
import importlib.util
import os
import shutil
import subprocess
import sys

from cluster import Cluster

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients")
JDBC = "/usr/share/java/postgresql.jar"
NODE_PATH = os.environ.get("NODE_PATH", "/usr/share/nodejs")


def node_has_pg():
    return subprocess.run(["node", "-e", "require('pg')"], capture_output=True,
                          env={**os.environ, "NODE_PATH": NODE_PATH}).returncode == 0


# Name, is it installed, command.
DRIVERS = [
    ("SQLAlchemy", lambda: importlib.util.find_spec("sqlalchemy"), [sys.executable, "test_sqlalchemy.py"]),
    ("JDBC", lambda: shutil.which("javac") and os.path.exists(JDBC), ["java", "-cp", JDBC, "JdbcTest.java"]),
    ("node-postgres", lambda: shutil.which("node") and node_has_pg(), ["node", "node_test.js"]),
]


def main():
    failed = 0
    with Cluster() as c:
        for name, is_installed, command in DRIVERS:
            if command[-1] not in sys.argv[1:]:
                continue
            if not is_installed():
                print(f"{name}: SKIPPED, not installed")
                continue
            r = subprocess.run([*command, "127.0.0.1", str(c.port)], capture_output=True, text=True, timeout=240, cwd=CLIENTS,
                               env={**os.environ, "NODE_PATH": NODE_PATH})
            print(f"{name}: {'ok' if r.returncode == 0 else 'FAILED'}")
            if r.returncode != 0:
                failed += 1
                print(r.stdout[-4000:], r.stderr[-4000:])
    return failed


if __name__ == "__main__":
    sys.exit(main())
