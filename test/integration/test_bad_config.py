#!/usr/bin/python3
"""What a server refuses to start with: wrong configurations, ports in use, directories that are not its own.

Each refusal names the thing (file and line, port, path) and the remedy, ends with exit code 1, and leaves what was
in the directory as it was.
"""
import os
import pwd
import shutil
import socket
import subprocess
import sys

from cluster import Cluster, free_port_range, query
from server import SHERDD, Server, expect, expect_text, run_cases

# A file with one key replaced: (what is written, texts of the refusal).
SOUND = """cluster:
  name: one
  initial:
    - {{node: 1, host: 127.0.0.1, grpc_port: {grpc}, raft_port: {raft}}}
node:
  id: 1
  host: 127.0.0.1
ports:
  sql: {sql}
  grpc: {grpc}
  raft: {raft}
  http: {http}
storage:
  data_dir: {data}
log:
  dir: {dir}/log
"""

REPLACED = [
    ("unknown key", "  id: 1", "  id: 1\n  colour: red", [":7:", "colour"]),
    ("unknown section", "storage:", "stores:\n  a: 1\nstorage:", [":13:", "stores"]),
    ("unknown key of a server", "node: 1,", "node: 1, weight: 3,", [":4:", "weight"]),
    ("a port that is not a number", "  sql: {sql}", "  sql: seven", [":9:", "ports.sql", "seven"]),
    ("a port beyond 65535", "  sql: {sql}", "  sql: 70000", [":9:", "ports.sql", "70000", "65535"]),
    ("port 0", "  sql: {sql}", "  sql: 0", [":9:", "ports.sql", "1"]),
    ("two ports the same", "  sql: {sql}", "  sql: {grpc}", ["ports.sql", "ports.grpc", "both"]),
    ("a port of raft that the list does not have", "  raft: {raft}", "  raft: 17", ["cluster.initial", "17"]),
    ("a key twice", "  id: 1", "  id: 1\n  id: 1", [":7:", "\"id\"", "twice"]),
    ("a line end in a name", "  name: one", '  name: "o\\nne"', ["cluster.name", "control character"]),
    ("no node id", "  id: 1\n", "", ["node.id", "missing", "hint"]),
    ("no data directory", "  data_dir: {data}\n", "  cache_mb: 8\n", ["storage.data_dir", "missing", "hint"]),
    ("an unknown role", "  id: 1", "  id: 1\n  roles: [shard, chef]", [":7:", "chef", "metadata, shard and router"]),
    ("a list where a value belongs", "  id: 1", "  id: [1, 2]", [":6:", "node.id"]),
    ("a value where a section belongs", "storage:\n  data_dir: {data}", "storage: here", [":13:", "storage"]),
    ("not in the list", "node: 1, host", "node: 2, host", ["node 1", "cluster.initial", "hint"]),
    ("a trust login beyond loopback", "  host: 127.0.0.1\nports", "  host: 127.0.0.1\n  listen: 0.0.0.0\nsql: {auth: trust}\nports",
     ["sql.auth", "0.0.0.0", "scram"]),
    ("an address that is none here", "  id: 1", "  id: 1\n  listen: 192.0.2.77", ["192.0.2.77", "hint"]),
    ("not YAML", "  id: 1", "  id: [1", [":7:", "not valid YAML"]),
    ("a tab", "  id: 1", "\tid: 1", [":6:", "not valid YAML"]),
    ("not UTF-8", "  id: 1", "  locality: \udcff\udcfe", ["UTF-8"]),
    ("a missing logger.yaml", "  dir: {dir}/log", "  config: {dir}/nowhere.yaml",
     ["nowhere.yaml", "No such file"]),
]

LOGGERS = [
    ("unknown key", "levle: info\n", [":1:", "levle"]),
    ("bad level", "level: info\ncomponents:\n  raft: loud\n", [":3:", "loud", "debug"]),
    ("bad size", "rotate:\n  size: 64XB\n", [":2:", "64XB"]),
    ("bad format", "format: xml\n", [":1:", "xml", "json"]),
    ("not YAML", "level: [\n", ["not valid YAML"]),
]


def config_case(old, new, parts):
    def run():
        with Server() as s:
            names = {**s.ports, "data": s.data, "dir": s.dir}
            text = SOUND.format(**names)
            old_text, new_text = old, new
            for key, value in names.items():
                old_text, new_text = old_text.replace(f"{{{key}}}", str(value)), new_text.replace(f"{{{key}}}", str(value))
            changed = text.replace(old_text, new_text, 1)
            expect(changed != text, "the case changes nothing")
            path = os.path.join(s.dir, "bad.yaml")
            with open(path, "w", errors="surrogateescape") as f:
                f.write(changed)
            said = s.refuses(config=path, *parts)
            expect(not any(p.startswith(":") for p in parts) or path + parts[0] in said, f"no file and line:\n{said}")
    return run


def config_file_case(make, *parts):
    def run():
        with Server() as s:
            path = os.path.join(s.dir, "bad.yaml")
            make(path)
            s.refuses(path, *parts, config=path)
    return run


def write(text):
    def make(path):
        with open(path, "wb") as f:
            f.write(text)
    return make


def logger_case(text, parts):
    def run():
        with Server() as s:
            path = os.path.join(s.dir, "logger.yaml")
            with open(path, "w") as f:
                f.write(text)
            s.values["log.config"] = path
            s.refuses(path, *parts)
    return run


def port_case(kind):
    def run():
        with Server() as s:
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", s.ports[kind]))
                other.listen()
                s.refuses(str(s.ports[kind]), "ddress already in use", "hint", f"ports.{kind}")
            s.start()  # nothing is left behind that would keep it from starting now
            expect(query(s.connect(), "SELECT 1") == [(1,)], "no answer")
            expect(s.stop() == 0, f"exit code {s.process.returncode}")
    return run


def with_rows(s):
    """A server that has formed its cluster and has three rows, stopped."""
    s.start()
    c = s.connect()
    query(c, "CREATE TABLE kept (a int PRIMARY KEY)")
    query(c, "INSERT INTO kept VALUES (1), (2), (3)")
    c.close()
    expect(s.stop() == 0, s.text())


def expect_rows(s):
    s.start()
    c = s.connect()
    have = query(c, "SELECT a FROM kept ORDER BY a")
    c.close()
    expect(have == [(1,), (2,), (3,)], f"rows: {have}")
    expect(s.stop() == 0, s.text())


def another_cluster():
    with Server() as s:
        with_rows(s)
        s.values["cluster.name"] = "other"
        s.refuses(s.data, "\"one\"", "\"other\"", "node 1", "hint", "storage.data_dir")
        s.values["cluster.name"] = "one"
        expect_rows(s)


def another_node():
    with Server() as s:
        with_rows(s)
        s.values["node.id"] = 2
        s.values["cluster.initial"] = s.values["cluster.initial"].replace("node: 1", "node: 2")
        s.refuses(s.data, "belongs to node 1", "node 2", "hint")


def newer_format():
    with Server() as s:
        with_rows(s)
        path = os.path.join(s.data, "identity")
        with open(path) as f:
            was = f.read()
        with open(path, "w") as f:
            f.write(was.replace("sherd-identity 3", "sherd-identity 9"))
        s.refuses(s.data, "format 9", "up to 3", "hint", "newer version")
        with open(path, "w") as f:
            f.write(was)
        expect_rows(s)


def damaged_identity(damage):
    def run():
        with Server() as s:
            with_rows(s)
            path = os.path.join(s.data, "identity")
            with open(path, "rb") as f:
                was = f.read()
            with open(path, "wb") as f:
                f.write(damage(was))
            s.refuses(s.data, "identity", "hint")
            with open(path, "wb") as f:
                f.write(was)
            expect_rows(s)
    return run


def is_a_file():
    with Server() as s:
        write(b"a file\n")(s.data)
        s.refuses(s.data, "Not a directory", "hint", "storage.data_dir")
        with open(s.data) as f:
            expect(f.read() == "a file\n", "the file was changed")


def locked():
    with Server() as s:
        s.start()
        with Server(values={"storage.data_dir": s.data}) as second:
            second.refuses(s.data, "in use", "hint", "Another server")
        c = s.connect()
        expect(query(c, "SELECT 1") == [(1,)], "the first server is disturbed")
        c.close()


def unprivileged(s):
    """The server runs as nobody; returns False when this user cannot do that."""
    if os.getuid() != 0:
        return False
    s.user = pwd.getpwnam("nobody").pw_uid
    s.binary = shutil.copy(s.binary, s.dir)  # a checkout may lie where others cannot look
    for path in (s.dir, s.config()):
        os.chown(path, s.user, -1)
    return True


def give(s, *names):
    """Files and directories (with the files right in them) become the server's user's."""
    for name in names:
        path = os.path.join(s.dir, name)
        os.chown(path, s.user, -1)
        if os.path.basename(path) == "log":
            for f in os.listdir(path):
                os.chown(os.path.join(path, f), s.user, -1)


def unwritable(kind):
    def run():
        with Server() as s:
            is_nobody = unprivileged(s)
            path = s.data if kind == "data" else os.path.join(s.dir, "log")
            os.mkdir(path, 0o755 if is_nobody else 0o555)  # as root: it stays root's
            try:
                s.refuses(path, "Permission denied", "hint", "user")
            finally:
                os.chmod(path, 0o755)
    return run


def identity_of_others():
    with Server() as s:
        with_rows(s)
        if unprivileged(s):
            give(s, "log", "data")
        else:
            os.chmod(os.path.join(s.data, "identity"), 0)
        s.refuses(os.path.join(s.data, "identity"), "Permission denied", "hint", "user")


def stores_of_others(store):
    """The directory is the server's, but not what an earlier start under another user left in it."""
    def run():
        with Server() as s:
            with_rows(s)
            if unprivileged(s):
                give(s, "log", "data", "data/identity")
                give(s, *[os.path.join("data/raft", f) for f in os.listdir(os.path.join(s.data, "raft"))])
                give(s, "data/raft" if store == "state" else "data")
            else:
                os.chmod(os.path.join(s.data, store), 0)
            s.refuses(os.path.join(s.data, store), "Permission denied", "hint", "user")
            os.chmod(os.path.join(s.data, store), 0o755)
    return run


def lost_directory():
    """A member whose directory is gone must not come back under its old name: it may have voted, and acknowledged."""
    with Cluster() as c:
        conn = c.connect(1)
        query(conn, "CREATE TABLE kept (a int PRIMARY KEY)")
        query(conn, "INSERT INTO kept SELECT generate_series(1, 100)")
        c.kill(3)
        node = os.path.join(c.dir, "node3")
        os.rename(os.path.join(node, "data"), os.path.join(node, "data.away"))
        r = c.cli("local", "start", "3", "--dir", c.dir, check=False)
        expect(r.returncode != 0, f"it was started:\n{r.stdout}{r.stderr}")
        with open(os.path.join(node, "output")) as f:
            said = f.read()
        expect_text(said, "node 3 has lost its data", "data", "hint", "cluster.join")
        expect_text(r.stdout + r.stderr, "lost its data")
        query(conn, "INSERT INTO kept VALUES (101)")  # the others go on
        # The right directory is accepted.
        subprocess.run(["rm", "-rf", os.path.join(node, "data")], check=True)
        os.rename(os.path.join(node, "data.away"), os.path.join(node, "data"))
        c.start(3)
        third = c.connect_retry(3)
        have = query(third, "SELECT count(*) FROM kept")
        expect(have == [(101,)], f"rows: {have}")


def foreign_member():
    """Two clusters with the same name and the same ports, one after the other: a node of the first in the second."""
    with Cluster() as c:
        conn = c.connect(1)
        query(conn, "CREATE TABLE kept (a int PRIMARY KEY)")
        query(conn, "INSERT INTO kept SELECT generate_series(1, 100)")
        conn.close()
        c.kill(3)
        node = os.path.join(c.dir, "node3", "data")
        with Cluster() as other:
            other.cli("local", "down", "--dir", other.dir)
            os.rename(node, node + ".away")
            subprocess.run(["cp", "-a", os.path.join(other.dir, "node3", "data"), node], check=True)
        r = c.cli("local", "start", "3", "--dir", c.dir, check=False)
        expect(r.returncode != 0, f"it was started:\n{r.stdout}{r.stderr}")
        expect_text(r.stdout + r.stderr, "another cluster", "\"data\"", "storage.data_dir", "hint")
        subprocess.run(["rm", "-rf", node], check=True)
        os.rename(node + ".away", node)
        c.start(3)
        have = query(c.connect_retry(3), "SELECT count(*) FROM kept")
        expect(have == [(100,)], f"rows: {have}")


def peer_of_another_name():
    """The list names a server that belongs to a cluster of another name."""
    with Server(values={"cluster.name": "first"}) as a:
        a.start()
        port = free_port_range(3) + 20
        with Server(port=port, values={"cluster.name": "second", "node.id": 2}) as b:
            b.values["cluster.initial"] = (
                f"[{{node: 1, host: 127.0.0.1, grpc_port: {a.ports['grpc']}, raft_port: {a.ports['raft']}}}, "
                f"{{node: 2, host: 127.0.0.1, grpc_port: {b.ports['grpc']}, raft_port: {b.ports['raft']}}}]")
            b.refuses("\"first\"", "\"second\"", str(a.ports["grpc"]), "hint", "cluster.initial")


def usage(*args):
    def run():
        r = subprocess.run([SHERDD, *args], capture_output=True, text=True, timeout=30)
        expect(r.returncode == 2, f"exit code {r.returncode}")
        expect_text(r.stderr, "usage:")
    return run


def main():
    cases = [(f"config: {n}", config_case(old, new, parts)) for n, old, new, parts in REPLACED]
    cases += [
        ("config: missing", config_file_case(lambda path: None, "No such file")),
        ("config: empty", config_file_case(write(b""), "missing", "hint")),
        ("config: only comments", config_file_case(write(b"# nothing\n"), "missing", "hint")),
        ("config: a directory", config_file_case(os.mkdir, "directory")),
        ("config: of 2 MB", config_file_case(write(b"# " + b"x" * (2 << 20)), "larger")),
        ("config: binary", config_file_case(write(bytes(range(256)) * 9), "UTF-8")),
        ("config: a list", config_file_case(write(b"- a\n- b\n"), ":1:")),
    ]
    cases += [(f"logger: {n}", logger_case(text, parts)) for n, text, parts in LOGGERS]
    cases += [(f"usage: {' '.join(a) or 'nothing'}", usage(*a)) for a in
              [(), ("--config",), ("--check-config",), ("--check-config", "x", "--dev"), ("--nonsense",), ("--dev", "--config", "x"), ("--dev", "extra"),
               ("--dev", "--sql-port", "99999"), ("--dev", "--sql-port", "12x"), ("--dev", "--log-level", "loud")]]
    cases += [(f"port in use: {kind}", port_case(kind)) for kind in ("sql", "grpc", "raft", "http")]
    cases += [
        ("directory: of another cluster", another_cluster),
        ("directory: of another node", another_node),
        ("directory: of a newer format", newer_format),
        ("directory: identity cut short", damaged_identity(lambda b: b[:len(b) // 2])),
        ("directory: identity empty", damaged_identity(lambda b: b"")),
        ("directory: identity with a bad line", damaged_identity(lambda b: b.replace(b"member", b"\xff\x00"))),
        ("directory: a bit of the nonce flipped", damaged_identity(flip_nonce)),
        ("directory: is a file", is_a_file),
        ("directory: locked by a running server", locked),
        ("directory: not writable", unwritable("data")),
        ("directory: logs not writable", unwritable("log")),
        ("directory: identity is another user's", identity_of_others),
        ("directory: raft is another user's", stores_of_others("raft")),
        ("directory: state is another user's", stores_of_others("state")),
        ("directory: lost by a member", lost_directory),
        ("directory: of a member of another cluster", foreign_member),
        ("cluster: a server of another cluster in the list", peer_of_another_name),
    ]
    return run_cases([c for c in cases if len(sys.argv) < 2 or sys.argv[1] in c[0]])


def flip_nonce(text):
    at = text.index(b"nonce ") + 6
    return text[:at] + (b"1" if text[at:at + 1] != b"1" else b"2") + text[at + 1:]


if __name__ == "__main__":
    sys.exit(main())
