#!/usr/bin/python3
"""What a running cluster takes from clients and peers without harm: bytes that are no protocol, wrong lengths, strangers,
unknown calls, damaged messages, statements made to break a parser.

After every case all servers are the processes they were, a client that behaves is served by each, and at the end every
acknowledged row of a writer that ran beside all of it is there. What is refused is counted in a metric.
"""
import os
import random
import re
import socket
import struct
import sys
import threading
import time

import grpc
import psycopg2

from cluster import Cluster, query
from server import Failed, await_that, expect, expect_text, metric, run_cases

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "api", "proto")
RNG = random.Random(20)


class Writer(threading.Thread):
    """A client that behaves: inserts row after row at one node. A machine that is busy elsewhere may elect another
    leader meanwhile, so a statement may be refused; its connection must not break."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.acknowledged, self.unknown, self.refused = cluster, set(), set(), []
        self.broken, self.stop = None, False

    def run(self):
        conn = self.cluster.connect(2)
        n = 0
        while not self.stop:
            try:
                query(conn, "INSERT INTO kept VALUES (%s)", (n,))
                self.acknowledged.add(n)
            except psycopg2.Error as e:
                if conn.closed or e.pgcode not in ("57P03", "08007"):
                    self.broken = e
                    return
                if e.pgcode == "08007":
                    self.unknown.add(n)
                self.refused.append(e.pgcode)
            n += 1
            time.sleep(0.01)  # the pace of the load, not an awaited event
        conn.close()


class World:
    def __init__(self, c):
        self.c = c
        self.pids = self.processes()

    def processes(self):
        pids = {}
        for node in range(1, self.c.nodes + 1):
            with open(os.path.join(self.c.dir, f"node{node}", "pid")) as f:
                pids[node] = int(f.read().split()[0])
        return pids

    def port(self, kind, node=1):
        return self.c.sql_port(node) + ("sql", "grpc", "raft", "http").index(kind)

    def metric(self, name, node=1):
        return metric(self.port("http", node), name)

    def check(self):
        """All servers live and serve."""
        for node, pid in self.pids.items():
            expect(os.path.exists(f"/proc/{pid}") and self.is_server(pid), f"the server of node {node} has ended")
            conn = self.c.connect(node)
            have = calm(conn, "SELECT count(*) > 0 FROM kept")
            expect(have == [(True,)], f"node {node} does not see the rows")
            conn.close()

    @staticmethod
    def is_server(pid):
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"

    def raw(self, kind, node=1, timeout=10):
        return socket.create_connection(("127.0.0.1", self.port(kind, node)), timeout=timeout)

    def cluster_id(self):
        with open(os.path.join(self.c.dir, "node1", "data", "identity")) as f:
            return int(re.search(r"^cluster ([0-9a-f]+)", f.read(), re.M).group(1), 16)


def calm(conn, sql, args=None):
    """A query, again when the machine was so busy that a leader was lost (57P03)."""
    for _ in range(3):
        try:
            return query(conn, sql, args)
        except psycopg2.OperationalError as e:
            if e.pgcode != "57P03":
                raise
    return query(conn, sql, args)


def drain(s):
    """All that comes until the other side closes; a reset counts as closed."""
    got = b""
    try:
        while chunk := s.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    return got


def is_closed(s, seconds=10):
    """The other side closes."""
    s.settimeout(seconds)
    try:
        drain(s)
        return True
    except socket.timeout:
        return False


GARBAGE = [bytes(64), b"\xff" * 4096, b"GET / HTTP/1.1\r\n\r\n" * 20, bytes(RNG.randrange(256) for _ in range(100000)),
           b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)]


def garbage(w, kind):
    def run():
        for text in GARBAGE:
            with w.raw(kind) as s:
                try:
                    s.sendall(text)
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    continue  # it has closed already
                # HTTP waits 10 s for the rest of what may be a request: that is seen once.
                expect((kind == "http" and text == bytes(64)) or is_closed(s, 15),
                       f"a connection that sent {text[:12]!r}... stays open")
    return run


def half_open(w, kind):
    """A hundred connections that say nothing, or a part of something, and stay: others are served."""
    def run():
        part = {"sql": b"\x00\x00", "grpc": b"PRI * HTTP/2.0\r\n", "raft": b"sherd", "http": b"GET /metr"}[kind]
        conns = []
        try:
            for i in range(100):
                s = w.raw(kind)
                conns.append(s)
                if i % 2:
                    s.sendall(part)
            w.check()
        finally:
            for s in conns:
                s.close()
    return run


# ---- Raft ----

def hello(w, magic=b"sherdrft", version=1, cluster=None, sender=2, to=1):
    return magic + struct.pack(">BBQQQ", version, 0, w.cluster_id() if cluster is None else cluster, sender, to)


def raft_stranger(w, what, **fields):
    def run():
        before = w.metric("sherd_raft_refused_total")
        with w.raw("raft") as s:
            s.sendall(hello(w, **fields))
            expect(is_closed(s), f"{what}: the connection stays open")
        expect(w.metric("sherd_raft_refused_total") == before + 1, "it is not counted")
    return run


def raft_truncated(w):
    """A hello that stops in the middle is waited for only so long."""
    before = w.metric("sherd_raft_refused_total")
    with w.raw("raft", timeout=20) as s:
        s.sendall(hello(w)[:20])
        expect(is_closed(s, 20), "the connection stays open")
    expect(w.metric("sherd_raft_refused_total") == before + 1, "it is not counted")


def raft_length(w):
    """A member's length field says 4 GB."""
    before = w.metric("sherd_raft_refused_total")
    with w.raw("raft") as s:
        s.sendall(hello(w) + struct.pack(">I", 0xfffffff0))
        expect(is_closed(s), "the connection stays open")
    expect(w.metric("sherd_raft_refused_total") == before + 1, "it is not counted")


def raft_messages(w):
    """Damaged messages behind a good hello: each is counted, and the connection is not the cluster's to lose."""
    bodies = [b"", b"\x00", bytes(100), b"\xff" * 100, *(RNG.randbytes(n) for n in (9, 40, 400, 4000))]
    before = w.metric("sherd_raft_malformed_total")
    with w.raw("raft") as s:
        s.sendall(hello(w) + b"".join(struct.pack(">I", len(b)) + b for b in bodies))
        await_that(lambda: w.metric("sherd_raft_malformed_total") >= before + len(bodies) - 1,
                   "the damaged messages are counted")


# ---- gRPC ----

def as_is(b):
    return b


def methods():
    """(full name, client streams) of every call of every service in the .proto files."""
    found = []
    for root, _, files in os.walk(PROTO):
        for name in files:
            with open(os.path.join(root, name)) as f:
                text = f.read()
            package = re.search(r"^package ([\w.]+);", text, re.M).group(1)
            for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.M | re.S):
                for rpc, stream in re.findall(r"rpc (\w+)\((stream )?", body):
                    found.append((f"/{package}.{service}/{rpc}", bool(stream)))
    expect(len(found) > 30, f"only {len(found)} methods in the .proto files")
    return found


def call(w, method, data, is_stream=False, options=()):
    """The status code and text of one call with these bytes as its message."""
    with grpc.insecure_channel(f"127.0.0.1:{w.port('grpc')}", options=list(options)) as channel:
        try:
            if is_stream:
                list(channel.stream_stream(method, as_is, as_is)(iter([data]), timeout=20))
            else:
                list(channel.unary_stream(method, as_is, as_is)(data, timeout=20))
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as e:
            return e.code(), e.details()


def grpc_unknown(w):
    before = w.metric("sherd_grpc_refused_total")
    names = ["/sherd.v1.Sql/Explode", "/no.such.Service/Call", "/", "/" + "x" * 3000]
    for name in names:
        code, text = call(w, name, b"")
        expect(code == grpc.StatusCode.UNIMPLEMENTED, f"{name[:30]}: {code} {text}")
        expect_text(text, "unknown method", name[:100])
    expect(w.metric("sherd_grpc_refused_total") == before + len(names), "it is not counted")


def grpc_garbage(w):
    before = w.metric("sherd_grpc_refused_total")
    count = 0
    bodies = [b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"\x08", RNG.randbytes(1000)]
    for name, is_stream in methods():
        for data in bodies:
            code, text = call(w, name, data, is_stream)
            expect(code not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED),
                   f"{name} with {data[:6]!r}...: {code} {text}")
            count += 1
    counted = w.metric("sherd_grpc_refused_total") - before
    expect(counted > count / 2, f"{counted} of {count} are counted")
    return f"{count} calls"


def grpc_empty(w):
    """An empty message where fields are needed, at every call but Shutdown, which has none."""
    for name, is_stream in methods():
        if not name.endswith("/Shutdown") and not name.endswith("/Watch"):
            call(w, name, b"", is_stream)


def grpc_large(w):
    for name in ("/sherd.v1.Sql/Execute", "/sherd.v1.Admin/ClusterStatus", "/sherd.v1.Node/Identity"):
        code, text = call(w, name, bytes(100 << 20), options=[("grpc.max_send_message_length", -1)])
        expect(code == grpc.StatusCode.RESOURCE_EXHAUSTED, f"{name}: {code} {text}")


def grpc_frames(w):
    """HTTP/2 that begins well, then frames that are wrong: lengths, types, streams, settings."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    frames = [b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", b"\x00\x00\x04\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff",
              b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff", b"\x00\x00\x00\x03\x00\x00\x00\x00\x00",
              b"\x00\x00\x05\x09\x00\x00\x00\x00\x07abcde", RNG.randbytes(5000)]
    for f in frames:
        with w.raw("grpc") as s:
            s.sendall(preface + f)
            s.shutdown(socket.SHUT_WR)
            expect(is_closed(s), f"a connection that sent {f[:12]!r} stays open")


def node_stream(w, what, **fields):
    """The stream between nodes, opened by who is none."""
    def run():
        before = w.metric("sherd_rpc_refused_total")
        code, text = call(w, "/sherd.v1.Node/Stream", fields["data"], is_stream=True)
        expect(code not in (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED), f"{what}: {code} {text}")
        expect(w.metric("sherd_rpc_refused_total") == before + 1, "it is not counted")
    return run


# ---- PostgreSQL's protocol ----

def startup(user="sherd", database="sherd", **settings):
    body = struct.pack(">I", 196608)
    for k, v in {"user": user, "database": database, **settings}.items():
        body += k.encode() + b"\0" + v.encode() + b"\0"
    body += b"\0"
    return struct.pack(">I", len(body) + 4) + body


class Wire:
    """A client that writes messages by hand."""

    def __init__(self, w):
        self.s = w.raw("sql", timeout=60)
        self.s.sendall(startup())
        self.until(b"Z")

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.s.close()

    def take(self, n):
        got = b""
        while len(got) < n:
            chunk = self.s.recv(n - len(got))
            if not chunk:
                raise Failed(f"the server closed the connection; {got!r}")
            got += chunk
        return got

    def message(self):
        head = self.take(5)
        return head[:1], self.take(struct.unpack(">I", head[1:])[0] - 4)

    def until(self, kind):
        seen = []
        while True:
            m = self.message()
            seen.append(m)
            if m[0] == kind:
                return seen

    def send(self, kind, body):
        self.s.sendall(kind + struct.pack(">I", len(body) + 4) + body)

    def error(self):
        """The SQLSTATE and text of the next error, having read on to ReadyForQuery."""
        for kind, body in self.until(b"Z"):
            if kind == b"E":
                return fields_of(body)
        raise Failed("no error")

    def works(self):
        self.send(b"Q", b"SELECT 42\0")
        rows = [b for k, b in self.until(b"Z") if k == b"D"]
        expect(len(rows) == 1 and rows[0].endswith(b"42"), f"rows: {rows}")


def fields_of(body):
    fields = {f[:1]: f[1:].decode(errors="replace") for f in body.split(b"\0") if f}
    return fields[b"C"], fields[b"M"]


def fatal(w, data, state, *parts):
    """Before login: one FATAL error, then the end."""
    def run():
        before = w.metric("sherd_pg_malformed_total")
        with w.raw("sql") as s:
            s.sendall(data)
            got = drain(s)
            expect(got[:1] == b"E", f"answer: {got[:80]!r}")
            have, text = fields_of(got[5:])
            expect(have == state, f"SQLSTATE {have} ({text}), not {state}")
            expect_text(text, *parts)
        if state == "08P01":
            expect(w.metric("sherd_pg_malformed_total") == before + 1, "it is not counted")
    return run


def in_session(w, data, state):
    """After login: FATAL, as what follows cannot be understood."""
    def run():
        before = w.metric("sherd_pg_malformed_total")
        with Wire(w) as c:
            c.s.sendall(data)
            have, text = fields_of(c.until(b"E")[-1][1])
            expect(have == state, f"SQLSTATE {have} ({text}), not {state}")
            expect(is_closed(c.s), "the connection stays open")
        expect(w.metric("sherd_pg_malformed_total") == before + 1, "it is not counted")
    return run


def goes_on(w, kind, body, state):
    """After login: an error, and the session goes on."""
    def run():
        with Wire(w) as c:
            c.send(kind, body)
            if kind != b"Q":
                c.send(b"S", b"")
            have, text = c.error()
            expect(have == state, f"SQLSTATE {have} ({text}), not {state}")
            c.works()
    return run


def large_statement(w):
    """Beyond sql.statement_mb (16): refused without being kept, the session goes on; 10 MB are not."""
    with Wire(w) as c:
        size = (17 << 20)
        c.s.sendall(b"Q" + struct.pack(">I", size + 4))
        for _ in range(17):
            c.s.sendall(b"x" * (1 << 20))
        have, text = c.error()
        expect(have == "54000", f"SQLSTATE {have} ({text})")
        expect_text(text, "16")
        c.works()


# ---- SQL ----

def sql_error(w, sql, *states, args=None):
    """An error with one of the SQLSTATEs; the session goes on."""
    def run():
        conn = w.c.connect(1)
        try:
            calm(conn, sql() if callable(sql) else sql, args)
            raise Failed("no error")
        except psycopg2.Error as e:
            expect(e.pgcode in states, f"{e.pgcode}: {str(e)[:300]}")
        expect(query(conn, "SELECT 1") == [(1,)], "the session does not go on")
        conn.close()
    return run


def sql_answer(w, sql, expected):
    def run():
        conn = w.c.connect(1)
        have = calm(conn, sql())
        expect(have == expected, f"{str(have)[:200]}")
        conn.close()
    return run


def parameters(w, count, *states):
    """A statement with that many parameters, by the extended flow."""
    def run():
        with Wire(w) as c:
            text = b"SELECT " + b"+".join(b"$%d" % (i + 1) for i in range(100)) + b", $%d" % count
            c.send(b"P", b"\0" + text + b"\0" + struct.pack(">H", 1) + struct.pack(">I", 23))
            c.send(b"S", b"")
            have, said = c.error()
            expect(have in states, f"SQLSTATE {have} ({said})")
            c.works()
    return run


def bind_parameters(w):
    """65,535 parameters, the most that the protocol can count, bound and answered."""
    with Wire(w) as c:
        n = 65535
        c.send(b"P", b"\0SELECT " + b",".join(b"($%d)" % (i + 1) for i in range(1, 1000)) + b" IS NULL, $1, $%d\0" % n +
               struct.pack(">H", n) + struct.pack(">I", 23) * n)
        c.send(b"B", b"\0\0" + struct.pack(">H", 0) + struct.pack(">H", n) + struct.pack(">I", 1) * n + b"7" * n +
               struct.pack(">H", 0))
        c.s.sendall(b"")
    with Wire(w) as c:
        text = b"SELECT $1, $%d" % n
        c.send(b"P", b"\0" + text + b"\0" + struct.pack(">H", n) + struct.pack(">I", 23) * n)
        c.send(b"B", b"\0\0" + struct.pack(">H", 0) + struct.pack(">H", n) +
               b"".join(struct.pack(">I", 1) + b"7" for _ in range(n)) + struct.pack(">H", 0))
        c.send(b"E", b"\0" + struct.pack(">I", 0))
        c.send(b"S", b"")
        rows = [b for k, b in c.until(b"Z") if k == b"D"]
        expect(rows == [struct.pack(">H", 2) + (struct.pack(">I", 1) + b"7") * 2], f"rows: {rows}")
        c.works()


def nested(prefix, text, count, suffix="", close=""):
    return lambda: prefix + text * count + suffix + close * count


def columns(count):
    return lambda: f"CREATE TABLE wide_{count} (" + ", ".join(f"c{i} int" for i in range(count)) + ")"


def sql_cases(w):
    deep = ("54001", "54000")
    many = 100000
    return [
        (f"sql: {many} parentheses", sql_error(w, nested("SELECT ", "(", many, "1", ")"), *deep)),
        (f"sql: {many} parentheses that never close", sql_error(w, nested("SELECT ", "(", many), *deep, "42601")),
        (f"sql: {many} NOT", sql_error(w, nested("SELECT ", "NOT ", many, "true"), *deep)),
        (f"sql: {many} signs", sql_error(w, nested("SELECT ", "- ", many, "1"), *deep)),
        (f"sql: {many} sums", sql_error(w, nested("SELECT 1", "+1", many), *deep)),
        ("sql: 20000 CASE", sql_error(w, nested("SELECT ", "CASE WHEN true THEN ", 20000, "1", " END"), *deep)),
        ("sql: 20000 arrays in arrays", sql_error(w, nested("SELECT ", "ARRAY[", 20000, "1", "]"), *deep)),
        ("sql: 20000 brackets in an array's text", sql_error(w, lambda: "SELECT '" + "{" * 20000 + "1" + "}" * 20000 +
                                                             "'::int[]", "22P02", "0A000", *deep)),
        ("sql: 20000 subqueries", sql_error(w, nested("SELECT ", "(SELECT ", 20000, "1", ")"), *deep)),
        ("sql: 20000 FROM subqueries", sql_error(w, nested("", "SELECT * FROM (", 20000, "SELECT 1", ") q"), *deep)),
        ("sql: 20000 UNION", sql_error(w, nested("SELECT 1", " UNION SELECT 1", 20000), *deep)),
        ("sql: 20000 JOIN", sql_error(w, nested("SELECT 1 FROM kept", " JOIN kept ON true", 20000), *deep, "42712")),
        ("sql: 20000 casts", sql_error(w, nested("SELECT 1", "::int", 20000), *deep)),
        ("sql: 20000 function calls", sql_error(w, nested("SELECT ", "abs(", 20000, "1", ")"), *deep)),
        ("sql: 20000 WITH", sql_error(w, nested("", "WITH a AS (", 20000, "SELECT 1", ") SELECT * FROM a"), *deep)),
        ("sql: 20000 EXPLAIN", sql_error(w, nested("", "EXPLAIN ", 20000, "SELECT 1"), "42601", *deep)),
        ("sql: 5000 AND", sql_answer(w, lambda: "SELECT count(*) > 0 FROM kept WHERE " + " AND ".join(["a >= 0"] * 5000),
                                     [(True,)])),
        ("sql: 12000 OR over 1100 rows of a table",
         sql_answer(w, lambda: "SELECT count(*) FROM many WHERE " + " OR ".join(f"(a = -{i} AND a > -{i})" for i in range(12000)),
                    [(0,)])),
        ("sql: 12000 OR over 1100 rows of a series",
         sql_answer(w, lambda: "SELECT count(*) FROM generate_series(1, 1100) a WHERE " +
                    " OR ".join(f"(a = -{i} AND a > -{i})" for i in range(12000)), [(0,)])),
        ("sql: 50000 comments in comments", sql_error(w, nested("SELECT 1 ", "/*", 50000), *deep)),
        ("sql: 50000 comments side by side", sql_error(w, nested("SELECT 1 ", "/**/", 50000), *deep)),
        ("sql: JSON 100000 deep", sql_error(w, lambda: "SELECT '" + "[" * many + "'::jsonb", "22P02", *deep, "42704", "0A000")),
        ("sql: a regular expression of 20000 groups",
         sql_error(w, lambda: "SELECT 'a' ~ '" + "(" * 20000 + "a" + ")" * 20000 + "'", "2201B", *deep)),
        ("sql: a regular expression that would take for ever",
         sql_error(w, lambda: "SELECT repeat('a', 10000) || 'b' ~ '^((a+)+)+$'", "54001", "54000", "2201B")),
        ("sql: IN with 100000 values", sql_answer(
            w, lambda: "SELECT count(*) > 0 FROM kept WHERE a IN (" + ",".join(map(str, range(100000))) + ")", [(True,)])),
        ("sql: 10 MB of text", sql_answer(w, lambda: "SELECT length('" + "x" * (10 << 20) + "')", [(10 << 20,)])),
        ("sql: 10 MB of sums", sql_error(w, nested("SELECT 1", "+1", 5 << 20), *deep)),
        ("sql: 10 MB of white space", sql_answer(w, lambda: "SELECT" + " " * (10 << 20) + "1", [(1,)])),
        ("sql: 10 MB of rows", sql_error(w, lambda: "INSERT INTO kept VALUES " + "(-1)," * (2 << 20) + "(-1)",
                                         "23505", "54000", "53200", "21000")),
        ("sql: 10 MB of semicolons", sql_answer(w, lambda: ";" * (10 << 20) + "SELECT 1", [(1,)])),
        ("sql: 10 MB of digits", sql_error(w, lambda: "SELECT " + "9" * (10 << 20), "22003", "54000", "42601")),
        ("sql: an unterminated string", sql_error(w, "SELECT 'abc", "42601")),
        ("sql: an unterminated identifier", sql_error(w, 'SELECT "abc', "42601")),
        ("sql: an unterminated dollar quote", sql_error(w, "SELECT $x$ abc", "42601")),
        ("sql: an unterminated comment", sql_error(w, "SELECT 1 /* abc", "42601")),
        ("sql: an unterminated escape", sql_error(w, "SELECT E'\\", "42601", "22025")),
        ("sql: a surrogate by escape", sql_error(w, "SELECT U&'\\D83D'", "42601")),
        ("sql: an empty identifier", sql_error(w, 'SELECT ""', "42601")),
        ("sql: a control character", sql_error(w, "SELECT \x01", "42601")),
        ("sql: 1,600 columns", sql_answer(w, lambda: columns(1600)() + "; SELECT count(*) FROM wide_1600", [(0,)])),
        ("sql: 1,601 columns", sql_error(w, columns(1601), "54011")),
        ("sql: 20,000 result columns", sql_error(w, lambda: "SELECT " + ",".join(["1"] * 20000), "54011", "54000")),
        ("sql: an identifier of 1 MB", sql_error(w, lambda: "SELECT * FROM " + "x" * (1 << 20), "42P01", "42622")),
        ("sql: a result of 10 GB", sql_error(w, "SELECT repeat('x', 2000000000) || repeat('y', 2000000000)",
                                             "54000", "53200", "22001")),
        ("sql: a pad of 2 GB", sql_error(w, "SELECT lpad('x', 2147483647, 'ab')", "54000", "53200", "22001")),
        ("sql: a series without end", sql_error(w, "SELECT count(*) FROM (SELECT generate_series(1, 9223372036854775807) "
                                                "ORDER BY 1) q", "53200", "54000", "57014")),
        ("sql: numbers at their ends", sql_error(w, "SELECT (-9223372036854775808)::bigint / (-1)::bigint", "22003")),
        ("sql: numeric without end", sql_error(w, "SELECT 10::numeric ^ 1000000", "22003", "54000")),
        ("sql: a factor of 131,073 digits", sql_error(w, lambda: "SELECT " + "9" * 131073 + "::numeric", "22003")),
    ]


def main():
    with Cluster() as c:
        conn = c.connect(1)
        query(conn, "CREATE TABLE kept (a int PRIMARY KEY)")
        query(conn, "INSERT INTO kept VALUES (-1)")
        query(conn, "CREATE TABLE many (a int PRIMARY KEY)")
        query(conn, "INSERT INTO many SELECT generate_series(1, 1100)")
        w = World(c)
        writer = Writer(c)
        writer.start()
        too_long = struct.pack(">I", 0x7fffffff)
        cases = [(f"garbage: {k}", garbage(w, k)) for k in ("sql", "grpc", "raft", "http")]
        cases += [(f"half-open: {k}", half_open(w, k)) for k in ("sql", "grpc", "raft", "http")]
        cases += [
            ("raft: wrong magic", raft_stranger(w, "magic", magic=b"sherdrfx")),
            ("raft: another version", raft_stranger(w, "version", version=9)),
            ("raft: another cluster", raft_stranger(w, "cluster", cluster=0x1234)),
            ("raft: meant for another node", raft_stranger(w, "to", to=3)),
            ("raft: node 0", raft_stranger(w, "from 0", sender=0)),
            ("raft: this node itself", raft_stranger(w, "from itself", sender=1)),
            ("raft: a truncated hello", lambda: raft_truncated(w)),
            ("raft: a message of 4 GB", lambda: raft_length(w)),
            ("raft: damaged messages of a member", lambda: raft_messages(w)),
            ("grpc: unknown calls", lambda: grpc_unknown(w)),
            ("grpc: garbage in known calls", lambda: grpc_garbage(w)),
            ("grpc: empty messages", lambda: grpc_empty(w)),
            ("grpc: a message of 100 MB", lambda: grpc_large(w)),
            ("grpc: wrong HTTP/2 frames", lambda: grpc_frames(w)),
            ("grpc: a node stream of garbage", node_stream(w, "garbage", data=b"\xff" * 100)),
            ("grpc: a node stream without a hello", node_stream(w, "empty", data=b"")),
            ("pgwire: length 0", fatal(w, struct.pack(">I", 0), "08P01", "invalid")),
            ("pgwire: a startup packet of 2 GB", fatal(w, too_long + bytes(100), "08P01", "invalid")),
            ("pgwire: a startup packet of 20,000 bytes", fatal(w, struct.pack(">I", 20000), "08P01", "invalid")),
            ("pgwire: protocol 2", fatal(w, struct.pack(">II", 8, 131072), "0A000", "2.0")),
            ("pgwire: no terminator", fatal(w, struct.pack(">II", 12, 196608) + b"user", "08P01", "terminator")),
            ("pgwire: no user", fatal(w, struct.pack(">II", 9, 196608) + b"\0", "28000", "user")),
            ("pgwire: a database that is not there", fatal(w, startup(database="nowhere"), "3D000", "nowhere")),
            ("pgwire: bytes behind an SSL request", fatal(w, struct.pack(">II", 8, 80877103) * 2, "08P01", "SSL")),
            ("pgwire: a message of 2 GB", in_session(w, b"Q" + too_long, "08P01")),
            ("pgwire: a message of length 3", in_session(w, b"Q" + struct.pack(">I", 3), "08P01")),
            ("pgwire: an unknown message", in_session(w, b"~" + struct.pack(">I", 4), "08P01")),
            ("pgwire: a statement of 17 MB", lambda: large_statement(w)),
            ("pgwire: a query without its end", in_session(w, b"Q" + struct.pack(">I", 12) + b"SELECT 1", "08P01")),
            ("pgwire: a NUL in a query", in_session(w, b"Q" + struct.pack(">I", 18) + b"SELECT 1\0 + 1\0", "08P01")),
            ("pgwire: invalid UTF-8 in a query", goes_on(w, b"Q", b"SELECT '\xff\xfe'\0", "22021")),
            ("pgwire: invalid UTF-8 in an identifier", goes_on(w, b"Q", b"SELECT \xc0\x80\0", "22021")),
            ("pgwire: a Parse cut short", goes_on(w, b"P", b"\0SELECT", "08P01")),
            ("pgwire: a Bind with a count that is not there", lambda: bind_count(w)),
            ("pgwire: a Bind of no statement", goes_on(w, b"B", b"\0nowhere\0" + bytes(6), "26000")),
            ("pgwire: an Execute of no portal", goes_on(w, b"E", b"nowhere\0\0\0\0\0", "34000")),
            ("pgwire: a Describe of what", goes_on(w, b"D", b"?\0", "08P01")),
            ("pgwire: copy data without COPY, then a query", lambda: stray_copy(w)),
            ("pgwire: parameter 65,536", parameters(w, 65536, "42P02", "54000", "42601")),
            ("pgwire: parameter 4,294,967,296", parameters(w, 1 << 32, "42P02", "54000", "42601")),
            ("pgwire: 65,535 parameters", lambda: bind_parameters(w)),
            ("pgwire: a NUL in a parameter", lambda: bad_parameter(w, b"a\0b", "22021")),
            ("pgwire: invalid UTF-8 in a parameter", lambda: bad_parameter(w, b"\xff", "22021")),
            ("copy: invalid UTF-8", lambda: bad_copy(w, b"\xff\n", "22021")),
            ("copy: a NUL", lambda: bad_copy(w, b"a\0b\n", "22021")),
            ("copy: too many columns", lambda: bad_copy(w, b"a\tb\n", "22P04")),
            ("copy: a line of 20 MB", lambda: bad_copy(w, b"x" * (20 << 20) + b"\n", "54000", "53200", "08P01", None)),
        ]
        cases += sql_cases(w)
        if len(sys.argv) > 1:
            cases = [x for x in cases if sys.argv[1] in x[0]]

        def checked(fn):
            def run():
                note = fn()
                w.check()
                return note
            return run
        code = run_cases([(name, checked(fn)) for name, fn in cases])
        writer.stop = True
        writer.join(30)
        if writer.broken or writer.is_alive():
            print(f"FAILED  the writer beside all this: {writer.broken or 'it hangs'}")
            code = 1
        for node in (1, 2, 3):
            have = {r[0] for r in calm(c.connect(node), "SELECT a FROM kept WHERE a >= 0")}
            lost, extra = writer.acknowledged - have, have - writer.acknowledged - writer.unknown
            if lost or extra:
                print(f"FAILED  node {node}: {len(lost)} of {len(writer.acknowledged)} acknowledged rows are lost "
                      f"{sorted(lost)[:10]}, {len(extra)} that were refused are there {sorted(extra)[:10]}")
                code = 1
        for node in (1, 2, 3):
            path = os.path.join(c.dir, f"node{node}", "output")
            with open(path, errors="replace") as f:
                text = f.read()
            if "Sanitizer" in text or "assertion" in text:
                print(f"FAILED  node {node} said:\n{text[-3000:]}")
                code = 1
        print(f"{len(writer.acknowledged)} rows written beside it, {len(writer.refused)} refused {set(writer.refused)}")
        if code:
            raise SystemExit(code)


def stray_copy(w):
    with Wire(w) as c:
        c.send(b"d", b"1\n")
        c.send(b"c", b"")
        c.works()


def bind_count(w):
    """65,535 parameters by the count, none in the message."""
    with Wire(w) as c:
        c.send(b"P", b"\0SELECT 1\0\0\0")
        c.send(b"B", b"\0\0\0\0\xff\xff")
        c.send(b"S", b"")
        have, text = c.error()
        expect(have == "08P01", f"SQLSTATE {have} ({text})")
        c.works()


def bad_parameter(w, value, state):
    with Wire(w) as c:
        c.send(b"P", b"\0SELECT $1\0" + struct.pack(">HI", 1, 25))
        c.send(b"B", b"\0\0" + struct.pack(">HHI", 0, 1, len(value)) + value + struct.pack(">H", 0))
        c.send(b"E", b"\0" + struct.pack(">I", 0))
        c.send(b"S", b"")
        have, text = c.error()
        expect(have == state, f"SQLSTATE {have} ({text})")
        c.works()


def bad_copy(w, data, *states):
    """None among the states: it may also succeed."""
    with Wire(w) as c:
        c.send(b"Q", b"CREATE TABLE IF NOT EXISTS copied (t text)\0")
        c.until(b"Z")
        c.send(b"Q", b"COPY copied FROM STDIN\0")
        c.until(b"G")
        c.send(b"d", data)
        c.send(b"c", b"")
        seen = c.until(b"Z")
        errors = [fields_of(b) for k, b in seen if k == b"E"]
        have = errors[0][0] if errors else None
        expect(have in states, f"{errors or 'no error'}")
        c.works()


if __name__ == "__main__":
    sys.exit(main())
