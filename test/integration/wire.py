"""The PostgreSQL protocol by hand, for what drivers hide: messages, transaction status, portals read in pieces."""
import socket
import struct


class Lost(Exception):
    """The server has closed the connection."""


def fields(body):
    """Of an ErrorResponse or NoticeResponse."""
    return {f[:1].decode(): f[1:].decode() for f in body.split(b"\0") if f}


def row(body):
    values, at = [], 2
    for _ in range(struct.unpack(">H", body[:2])[0]):
        size = struct.unpack(">i", body[at:at + 4])[0]
        at += 4
        values.append(None if size < 0 else body[at:at + size].decode())
        at += max(size, 0)
    return tuple(values)


class Wire:
    def __init__(self, port, user="sherd", database="sherd", timeout=20):
        self.s = socket.create_connection(("127.0.0.1", port), timeout)
        body = struct.pack(">I", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
        self.s.sendall(struct.pack(">I", len(body) + 4) + body)
        self.key = None
        for kind, body in self.until(b"Z"):
            if kind == b"K":
                self.key = body
            if kind == b"E":
                raise RuntimeError(fields(body)["M"])

    def close(self):
        self.s.close()

    def cancel(self, port):
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(struct.pack(">II", 16, 80877102) + self.key)
            s.recv(1)

    def send(self, *messages):
        self.s.sendall(b"".join(t + struct.pack(">I", len(b) + 4) + b for t, b in messages))

    def read(self, n):
        out = b""
        while len(out) < n:
            piece = self.s.recv(n - len(out))
            if not piece:
                raise Lost
            out += piece
        return out

    def message(self):
        kind = self.read(1)
        return kind, self.read(struct.unpack(">I", self.read(4))[0] - 4)

    def until(self, last):
        """Messages up to one of these kinds."""
        got = []
        while True:
            got.append(self.message())
            if got[-1][0] in last:
                return got

    def query(self, sql):
        self.send((b"Q", sql.encode() + b"\0"))
        return self.until(b"Z")

    @staticmethod
    def statement(sql, *params, portal=b"", rows=0, describe=True):
        """Parse, Bind, Describe, Execute; values as text."""
        values = b"".join(struct.pack(">i", -1) if p is None else struct.pack(">i", len(str(p))) + str(p).encode() for p in params)
        out = [(b"P", b"\0" + sql.encode() + b"\0" + struct.pack(">H", 0)),
               (b"B", portal + b"\0\0" + struct.pack(">HH", 0, len(params)) + values + struct.pack(">H", 0))]
        if describe:
            out.append((b"D", b"P" + portal + b"\0"))
        return out + [(b"E", portal + b"\0" + struct.pack(">I", rows))]

    def extended(self, *statements):
        """Statements (sql, params...) in one pipeline up to Sync."""
        messages = []
        for s in statements:
            messages += self.statement(*(s if isinstance(s, tuple) else (s,)))
        self.send(*messages, (b"S", b""))
        return self.until(b"Z")

    def rows(self, sql):
        """Of a simple query; an error is raised."""
        got = self.query(sql)
        for kind, body in got:
            if kind == b"E":
                f = fields(body)
                raise RuntimeError(f"{sql}: {f['C']} {f['M']}")
        return [row(body) for kind, body in got if kind == b"D"]

    def fetch(self, portal, count):
        """Rows of an open portal, and whether more are there."""
        self.send((b"E", portal + b"\0" + struct.pack(">I", count)), (b"H", b""))
        got = self.until((b"s", b"C", b"E"))
        if got[-1][0] == b"E":
            f = fields(got[-1][1])
            raise RuntimeError(f"fetch: {f['C']} {f['M']}")
        return [row(body) for kind, body in got if kind == b"D"], got[-1][0] == b"s"
