"""Spec files: sessions of named steps, run in many interleavings.

    # comment
    tables { SQL }                     once for the spec, in a schema of its own; $SHARDED marks where a table is spread
    setup { SQL }                      before each permutation (rows; tables where steps change them)
    option NAME ...                    see OPTIONS
    session NAME
    setup { SQL }                      of the session, before its first step in each permutation
    step NAME { SQL }
    permutation STEP STEP ...          one order; without any, all orders that keep each session's own, or, where there are
                                       more than 100, that many of them, drawn by a fixed seed
    level LEVEL ...                    only at these levels (rc, rr, ser)

A permutation may leave steps out. A step of a session that still waits for a lock is held back until that has ended,
so that every order can be run on every system.
"""
import os
import random
import re

LEVELS = {"rc": "read committed", "rr": "repeatable read", "ser": "serializable"}
# noserial: results that no serial order has to explain (SKIP LOCKED, NOWAIT, sequences, errors caught by savepoints)
# racy: PostgreSQL's outcome depends on who looks for a deadlock first; it is not compared with the recorded one
OPTIONS = {"noserial", "racy"}
PERMUTATIONS_MAX = 100
TOKEN = re.compile(r"\s*(?:#[^\n]*|(\{[^}]*\})|([^\s{}]+))")


class SpecError(Exception):
    pass


class Step:
    def __init__(self, session, name, sql):
        self.session, self.name, self.sql = session, name, sql


class Session:
    def __init__(self, name):
        self.name, self.setup, self.steps = name, "", []


class Spec:
    def __init__(self, name, text):
        self.name, self.tables, self.setup = name, "", ""
        self.sessions, self.steps, self.options, self.levels, chosen = [], {}, set(), list(LEVELS), []
        words = [m.group(1) or m.group(2) for m in TOKEN.finditer(text) if m.group(1) or m.group(2)]
        i = 0

        def block():
            nonlocal i
            if i >= len(words) or not words[i].startswith("{"):
                raise SpecError(f"{name}: a block is missing")
            i += 1
            return words[i - 1][1:-1].strip()

        def names():
            nonlocal i
            begin = i
            while i < len(words) and words[i] not in ("permutation", "session", "option", "level", "tables", "setup"):
                i += 1
            return words[begin:i]

        while i < len(words):
            word = words[i]
            i += 1
            if word == "tables":
                self.tables = block()
            elif word == "setup" and not self.sessions:
                self.setup = block()
            elif word == "setup":
                self.sessions[-1].setup = block()
            elif word == "session":
                self.sessions.append(Session(words[i]))
                i += 1
            elif word == "step":
                step = Step(self.sessions[-1], words[i], "")
                i += 1
                step.sql = block()
                if step.name in self.steps:
                    raise SpecError(f"{name}: step {step.name} is there twice")
                self.steps[step.name] = step
                self.sessions[-1].steps.append(step)
            elif word == "permutation":
                chosen.append(names())
            elif word == "option":
                self.options |= set(names())
            elif word == "level":
                self.levels = names()
            else:
                raise SpecError(f"{name}: unknown word {word}")
        if self.options - OPTIONS:
            raise SpecError(f"{name}: unknown option")
        self.permutations = [self.check(p) for p in chosen] if chosen else list(self.all())

    def check(self, order):
        for step in order:
            if step not in self.steps:
                raise SpecError(f"{self.name}: permutation of an unknown step {step}")
        return [self.steps[s] for s in order]

    def all(self):
        counts = {i: len(s.steps) for i, s in enumerate(self.sessions)}
        orders = list(interleavings(counts))
        if len(orders) > PERMUTATIONS_MAX:
            orders = sorted(random.Random(1).sample(orders, PERMUTATIONS_MAX))
        for order in orders:
            at = [0] * len(self.sessions)
            steps = []
            for s in order:
                steps.append(self.sessions[s].steps[at[s]])
                at[s] += 1
            yield steps


def interleavings(left, order=()):
    """All orders of a multiset, given as counts."""
    if not any(left.values()):
        yield order
    for x in sorted(left):
        if left[x]:
            left[x] -= 1
            yield from interleavings(left, order + (x,))
            left[x] += 1


def load(path):
    with open(path) as f:
        return Spec(os.path.basename(path).rsplit(".", 1)[0], f.read())
