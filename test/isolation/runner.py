"""Runs one permutation of a spec on one target, and tells what happened.

A step is sent without waiting for its end. After each one the runner looks until nothing moves any more: every session
is idle or waits for a lock of an open transaction, and nobody waits in a circle (that one is about to be broken). So the
same order of events is met each time, without a sleep.
"""
import re
import select
import time

import psycopg2
import psycopg2.errors
from psycopg2 import extensions as ext

from target import STEP_SECONDS, Stuck

POLL_SECONDS = 0.004
SETUP_TRIES = 5


class Result:
    """What a step gave: rows or a command tag, or an error."""

    def __init__(self):
        self.text, self.sqlstate, self.waited = "", None, False

    def __str__(self):
        return ("~" if self.waited else "") + self.text


class Txn:
    """A transaction as the client saw it: its steps, and when it was begun and ended (numbers of events)."""

    def __init__(self, session, begun):
        self.session, self.begun, self.ended = session, begun, None
        self.steps, self.is_committed = [], False


class Outcome:
    def __init__(self):
        self.results, self.txns, self.tables = {}, [], {}

    def text(self, with_waits=True):
        steps = " | ".join(f"{n}: {r if with_waits else r.text}" for n, r in self.results.items())
        tables = " ".join(f"{t}={rows}" for t, rows in self.tables.items())
        return f"{steps} || {tables}"


def show(value):
    return "null" if value is None else str(value)


def show_rows(rows):
    return "".join("(" + ",".join(show(v) for v in r) + ")" for r in rows) or "()"


class Player:
    """One session's connection."""

    def __init__(self, target, number, level, schema):
        self.conn = target.connect_async(number)
        self.key = target.key(number, self.conn.get_backend_pid())
        self.cur = self.conn.cursor()
        self.step = self.result = self.txn = None
        self.finish(f"SET search_path = {schema}")
        self.finish(f"SET default_transaction_isolation = '{level}'")
        self.finish("SET client_min_messages = 'warning'")
        for setting in target.settings:
            self.finish(setting)

    def is_idle(self):
        return self.conn.info.transaction_status == ext.TRANSACTION_STATUS_IDLE

    def start(self, sql):
        self.cur.execute(sql)

    def poll(self):
        """None: still under way. Else the result."""
        r = Result()
        try:
            state = self.conn.poll()
            if state != ext.POLL_OK:
                return None
            r.text = show_rows(self.cur.fetchall()) if self.cur.description else self.cur.statusmessage or ""
        except psycopg2.Error as e:
            if e.pgcode is None:
                raise
            r.sqlstate = e.pgcode
            r.text = f"!{e.pgcode} {e.diag.message_primary}"
        return r

    def finish(self, sql):
        """A statement that meets nobody."""
        self.start(sql)
        end = time.monotonic() + STEP_SECONDS
        while True:
            r = self.poll()
            if r is not None:
                if r.sqlstate is not None:
                    raise RuntimeError(f"{sql}: {r.text}")
                return r
            if time.monotonic() > end:
                raise Stuck(f"no end of: {sql}")
            select.select([self.conn], [], [], 0.5)

    def close(self):
        self.conn.close()


def has_circle(waits):
    def reaches(k, goal, seen):
        for n in waits.get(k, ()):
            if n == goal or (n not in seen and not seen.add(n) and reaches(n, goal, seen)):
                return True
        return False
    return any(reaches(k, k, set()) for k in waits)


class Stage:
    """A spec on a target at a level: the schema, the players, and serial runs that were made already."""

    def __init__(self, target, spec, level):
        self.target, self.spec, self.level = target, spec, level
        self.schema = re.sub(r"\W", "_", f"iso_{spec.name}")
        self.serial_runs = {}

    def __enter__(self):
        self.sql(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE", f"CREATE SCHEMA {self.schema}",
                 f"SET search_path = {self.schema}")
        for statement in self.spec.tables.replace("$SHARDED", self.target.sharded).split(";"):
            if statement.strip():
                self.sql(statement)
        with self.target.control.cursor() as cur:
            cur.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
                        " AND table_type = 'BASE TABLE' ORDER BY 1", (self.schema,))
            self.tables = [r[0] for r in cur.fetchall()]
        from spec import LEVELS
        self.players = {s.name: Player(self.target, i, LEVELS[self.level], self.schema)
                        for i, s in enumerate(self.spec.sessions)}
        return self

    def __exit__(self, kind, *_):
        for p in self.players.values():
            p.close()
        if kind is None:
            self.sql(f"DROP SCHEMA {self.schema} CASCADE")

    def sql(self, *statements):
        with self.target.control.cursor() as cur:
            for s in statements:
                cur.execute(s)

    def prepare(self):
        for left in reversed(range(SETUP_TRIES)):
            try:
                if self.spec.setup:
                    self.sql(self.spec.setup.replace("$SHARDED", self.target.sharded))
                return
            except psycopg2.errors.SerializationFailure:  # a shard has changed its leader
                if left == 0:
                    raise

    # ---- a permutation ----

    def collect(self, active, waiting):
        """Takes the results of steps that have ended. True: there were some."""
        moved = False
        for p in list(active):
            r = p.poll()
            if r is not None:
                r.waited = p in waiting
                self.end_step(p, r)
                active.remove(p)
                waiting.discard(p)
                moved = True
        return moved

    def settle(self, active, waiting):
        """Until everybody is idle or waits for somebody who is not about to end."""
        end = time.monotonic() + STEP_SECONDS
        while active:
            ready, _, _ = select.select([p.conn for p in active], [], [], POLL_SECONDS)
            if ready and self.collect(active, waiting):
                end = time.monotonic() + STEP_SECONDS
                continue
            waits = self.target.waits([p.key for p in active])
            if all(p.key in waits for p in active) and not has_circle(waits):
                if not select.select([p.conn for p in active], [], [], 0)[0]:
                    waiting.update(active)
                    return
            if time.monotonic() > end:
                raise Stuck("neither an end nor a wait for a lock: " +
                            ", ".join(p.step.name for p in active if p.key not in waits))

    def begin_step(self, p, step):
        self.clock += 1
        p.step = step
        if p.txn is None:
            p.txn = Txn(step.session, self.clock)
            self.outcome.txns.append(p.txn)
        p.txn.steps.append(step)
        p.start(step.sql)

    def end_step(self, p, r):
        self.clock += 1
        self.outcome.results[p.step.name] = r
        if p.is_idle():
            p.txn.ended = self.clock
            p.txn.is_committed = r.sqlstate is None and r.text != "ROLLBACK"
            p.txn = None
        p.step = None

    def play(self, order):
        self.outcome, self.clock = Outcome(), 0
        for name in order:
            self.outcome.results[name.name] = None
        self.prepare()
        for s in self.spec.sessions:
            if s.setup:
                self.players[s.name].finish(s.setup)
        active, waiting, left = [], set(), list(order)
        while left or active:
            step = next((s for s in left if self.players[s.session.name].step is None), None)
            if step is None:
                raise Stuck("all wait: " + ", ".join(p.step.name for p in active))
            left.remove(step)
            p = self.players[step.session.name]
            self.begin_step(p, step)
            active.append(p)
            self.settle(active, waiting)
            if not left and active:
                raise Stuck("waiting at the end: " + ", ".join(p.step.name for p in active))
        for p in self.players.values():
            if not p.is_idle():
                p.finish("ROLLBACK")
            p.txn = None
        self.outcome.tables = self.read_tables()
        return self.outcome

    def read_tables(self):
        out = {}
        with self.target.control.cursor() as cur:
            for t in self.tables:
                try:
                    cur.execute(f"SELECT * FROM {self.schema}.{t}")
                except psycopg2.errors.UndefinedTable:
                    out[t] = "dropped"
                    continue
                out[t] = show_rows(sorted(cur.fetchall(), key=lambda r: [(v is None, v) for v in r]))
        return out

    # ---- one after the other ----

    def serial(self, txns):
        """Results and tables of these transactions run in this order."""
        key = tuple(tuple(s.name for s in t.steps) for t in txns)
        if key not in self.serial_runs:
            self.prepare()
            results = {}
            for t in txns:
                p = self.players[t.session.name]
                if t.session.setup and t is next(x for x in txns if x.session is t.session):
                    p.finish(t.session.setup)
                for s in t.steps:
                    p.start(s.sql)
                    while (r := p.poll()) is None:
                        if not select.select([p.conn], [], [], STEP_SECONDS)[0]:
                            raise Stuck(f"no end of {s.name}, alone")
                    results[s.name] = r.text
                if not p.is_idle():
                    p.finish("ROLLBACK")
            self.serial_runs[key] = (results, self.read_tables())
        return self.serial_runs[key]
