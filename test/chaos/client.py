"""Clients of a run: connections with deadlines, operations with an honest outcome, the history.

Outcome of an operation, as in Jepsen: `ok` it happened; `fail` it certainly did not; `info` nobody told us. A
connection that breaks, or an answer that does not come in time, after the commit was sent is `info`; before that it
is `fail`, because a server rolls back what has not been committed. An SQLSTATE is the server's promise that nothing
was committed, but for those of UNSURE.

Times are of one monotonic clock of one process, so real-time order between operations is exact.
"""
import json
import random
import select
import threading
import time

import psycopg2
import psycopg2.extensions

UNSURE = ("08", "57P", "58", "XX", "40003")
# Answers that no fault explains: each is a finding, whatever the checkers say.
NEVER_EXPECTED = ("XX", "42", "22")


class Timeout(Exception):
    """No answer within the deadline; the connection is closed."""


_local = threading.local()


def _wait(conn):
    end = getattr(_local, "end", None)
    while True:
        state = conn.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        poller = select.poll()
        poller.register(conn.fileno(), select.POLLOUT if state == psycopg2.extensions.POLL_WRITE else select.POLLIN)
        left = None if end is None else max(0.0, end - time.monotonic())
        if not poller.poll(None if left is None else left * 1000 + 1):
            raise Timeout()


psycopg2.extensions.set_wait_callback(_wait)


class Session:
    """One client connection. begin/commit or auto() for single statements; `is_unsure` says whether a failure now
    leaves the outcome open."""

    def __init__(self, node, deadline=5.0, isolation=None):
        self.node, self.deadline, self.isolation = node, deadline, isolation
        self.conn = None
        self.is_unsure = False
        self.is_open = False  # inside BEGIN

    def connect(self):
        _local.end = time.monotonic() + self.deadline
        self.conn = psycopg2.connect(host=self.node.host, port=self.node.sql_port, user="sherd", dbname="sherd",
                                     connect_timeout=int(self.deadline) + 1)
        self.conn.autocommit = True
        self.is_open = self.is_unsure = False
        if self.isolation is not None:
            self.sql(f"SET default_transaction_isolation = '{self.isolation}'")

    def close(self):
        if self.conn is not None:
            try:
                self.conn.close()
            except psycopg2.Error:
                pass
            self.conn = None

    def sql(self, text, args=None):
        """Rows, or the number of rows that were written."""
        _local.end = time.monotonic() + self.deadline
        with self.conn.cursor() as cur:
            cur.execute(text, args)
            return cur.fetchall() if cur.description else cur.rowcount

    def auto(self, text, args=None):
        """A single statement that writes and commits by itself."""
        self.is_unsure = True
        rows = self.sql(text, args)
        self.is_unsure = False
        return rows

    def begin(self, options=""):
        self.sql("BEGIN " + options)
        self.is_open = True

    def commit(self):
        self.is_unsure = True
        self.sql("COMMIT")
        self.is_unsure = self.is_open = False

    def rollback(self):
        self.sql("ROLLBACK")
        self.is_open = False

    def recover(self):
        """After an error: the connection is usable again, or closed."""
        if self.conn is None or self.conn.closed:
            self.conn = None
            return
        try:
            if self.is_open:
                self.rollback()
        except (psycopg2.Error, Timeout):
            self.close()


def outcome(session, error):
    """(type, sqlstate or text) of an operation that ended with this error."""
    code = getattr(error, "pgcode", None)
    if code is None:
        text = "timeout" if isinstance(error, Timeout) else "connection: " + str(error).strip().split("\n")[0]
        return ("info" if session.is_unsure else "fail"), text
    if session.is_unsure and code.startswith(UNSURE):
        return "info", code
    return "fail", code


class Aborted(Exception):
    """Raised by a workload that decides to give up: a definite fail that is no fault."""


class History:
    """Operations in the order of their ends. An operation is a dict: w workload, p worker, node, f, value, t0, t1,
    type, error."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ops = []
        self.events = []  # (time, text): what the nemesis did
        self.unexpected = {}

    def add(self, op):
        with self.lock:
            self.ops.append(op)

    def note(self, text):
        with self.lock:
            self.events.append((time.monotonic(), text))

    def of(self, workload):
        return [o for o in self.ops if o["w"] == workload]

    def save(self, path):
        with open(path, "w") as f:
            for t, text in self.events:
                f.write(json.dumps({"event": text, "t": t}) + "\n")
            for op in self.ops:
                f.write(json.dumps(op) + "\n")


def load(path):
    h = History()
    with open(path) as f:
        for line in f:
            o = json.loads(line)
            if "event" in o:
                h.events.append((o["t"], o["event"]))
            else:
                h.ops.append(o)
    return h


def run_op(history, session, workload, op, worker):
    """Performs and records one operation. The connection is there when this begins."""
    op.update(w=workload.name, p=worker, node=session.node.number, t0=time.monotonic())
    session.is_unsure = False
    try:
        workload.apply(session, op)
        op["type"] = "ok"
    except Aborted as e:
        op["type"], op["error"] = "fail", str(e)
        op["t1"] = time.monotonic()
        session.recover()
    except (psycopg2.Error, Timeout) as e:
        op["type"], op["error"] = outcome(session, e)
        op["t1"] = time.monotonic()
        code = getattr(e, "pgcode", None)
        if code is not None and code.startswith(NEVER_EXPECTED):
            with history.lock:
                history.unexpected[str(e).strip().split("\n")[0]] = code
        if code is None or op["type"] == "info":
            session.close()
        else:
            session.recover()
    op.setdefault("t1", time.monotonic())
    history.add(op)
    return op["type"] == "ok"


class Worker(threading.Thread):
    """Runs operations of one workload, one after the other, until it is told to stop. It stays at a node until the
    connection breaks; then it goes to the next one, and after some seconds back to its own: every node has work, also
    one that returns."""

    def __init__(self, run, workload, number, seed):
        super().__init__(daemon=True, name=f"{workload.name}-{number}")
        self.runner, self.workload, self.number = run, workload, number
        self.rng = random.Random(seed)
        self.at = number
        self.failure = None

    def run(self):
        try:
            self.work()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e
            raise

    def work(self):
        r = self.runner
        session, since = None, 0.0
        while not r.stop.is_set():
            if session is not None and self.at != self.number and time.monotonic() > since + 3:
                session.close()
                self.at = self.number
            if session is None or session.conn is None:
                node = r.cluster.routers[self.at % len(r.cluster.routers)]
                session, since = Session(node, r.deadline, r.isolation), time.monotonic()
                try:
                    session.connect()
                except (psycopg2.Error, Timeout):
                    session.close()
                    self.at += 1
                    r.stop.wait(0.05)  # a refused connection answers at once: do not spin
                    continue
            op = self.workload.next(self.rng)
            run_op(r.history, session, self.workload, op, self.number)
            if session.conn is None:
                self.at += 1
            elif op["type"] != "ok":
                r.stop.wait(0.002 * self.rng.random())
        if session is not None:
            session.close()
