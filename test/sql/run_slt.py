#!/usr/bin/env python3
"""Runs recorded statements with PostgreSQL's answers against a server, and counts what agrees.

    run_slt.py HOST PORT FILE...            a server (psycopg2; user and database sherd)
    run_slt.py --box PROGRAM FILE...        the in-process world of the unit tests (sql_box)

FILE is a .jsonl.gz of cases: name, cat, drops, recs (k = ok, run, q, err, cq; see the README beside the data).
Options: --only SUBSTRING of case names, --fast, --show N failures, --cat, --limit CASES, --seconds PER_CASE.
The exit status is 0 when nothing failed, or when --expect N failures at most were allowed.
"""
import argparse
import collections
import gzip
import hashlib
import json
import math
import subprocess
import sys
import time


class Failure(Exception):
    def __init__(self, state, message):
        super().__init__(message)
        self.state = state


class Box:
    def __init__(self, program):
        self.program = program
        self.process = None

    def reset(self):
        self.close()
        self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process = None

    def run(self, sql):
        data = sql.encode()
        try:
            self.process.stdin.write(b"%d\n" % len(data) + data + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self.reset()
            raise Failure("DEAD", "the box died")
        answer = json.loads(line.decode("utf-8", "replace"))
        if "error" in answer:
            raise Failure(answer["error"], answer["message"])
        return answer["n"], answer["oid"], answer["rows"]


class Server:
    def __init__(self, host, port):
        self.host, self.port, self.conn = host, port, None

    def reset(self):
        import psycopg2
        import psycopg2.extensions as ext
        self.close()
        self.conn = psycopg2.connect(host=self.host, port=self.port, user="sherd", dbname="sherd")
        self.conn.autocommit = True
        self.cursor = self.conn.cursor()
        oids = (16, 17, 18, 19, 20, 21, 23, 25, 26, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950)
        text = ext.new_type(oids, "TEXTFORM", lambda v, c: v)
        ext.register_type(text, self.conn)
        arrays = (1000, 1001, 1002, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1028, 1115, 1182, 1183, 1185,
                  1187, 1231, 2951)
        ext.register_type(ext.new_type(arrays, "TEXTARRAY", lambda v, c: v), self.conn)

    def close(self):
        if self.conn:
            self.conn.close()
            self.conn = None

    def run(self, sql):
        import psycopg2
        try:
            self.cursor.execute(sql)
            if self.cursor.description is None:
                return max(self.cursor.rowcount, 0), [], []
            rows = [list(r) for r in self.cursor.fetchall()]
            return len(rows), [c.type_code for c in self.cursor.description], rows
        except psycopg2.Error as e:
            raise Failure(e.pgcode or "-", str(e).split("\n")[0])


def same_value(a, b, oid):
    if a == b:
        return True
    if a is None or b is None:
        return False
    if oid in (700, 701, 1700):
        try:
            x, y = float(a), float(b)
        except ValueError:
            return False
        if math.isnan(x) or math.isnan(y):
            return math.isnan(x) == math.isnan(y)
        return x == y or abs(x - y) <= 1e-11 * max(abs(x), abs(y), 1e-300)
    return False


def same_row(a, b, oids):
    return len(a) == len(b) and all(same_value(x, y, o) for x, y, o in zip(a, b, oids))


def sort_key(row):
    return [(v is None, v or "") for v in row]


def number(v):
    try:
        return "%.10g" % float(v)
    except (TypeError, ValueError):
        return v


def check_q(rec, oids, rows):
    want = rec["r"]
    if len(rows) != len(want):
        return "%d rows instead of %d" % (len(rows), len(want))
    if oids != rec["oid"]:
        return "types %s instead of %s" % (oids, rec["oid"])
    if rec["o"] != "u":
        cols = range(len(oids)) if rec["o"] == "x" else rec["o"]
        for got, exp in zip(rows, want):
            if not same_row([got[c] for c in cols], [exp[c] for c in cols], [oids[c] for c in cols]):
                return "order: %s instead of %s" % (got, exp)

    def key(row):
        return sort_key([number(v) if o in (700, 701, 1700) else v for v, o in zip(row, oids)])
    for got, exp in zip(sorted(rows, key=key), sorted(want, key=key)):
        if not same_row(got, exp, oids):
            return "%s instead of %s" % (got, exp)
    return None


def classic(value, kind):
    if value is None:
        return "NULL"
    if kind == "I":
        try:
            return str(int(float(value)))
        except ValueError:
            return {"t": "1", "f": "0"}.get(value, "0")
    if kind == "R":
        return "%.3f" % float(value)
    if value == "":
        return "(empty)"
    return "".join(ch if " " <= ch <= "~" else "@" for ch in value)


def check_cq(rec, rows):
    cells = [[classic(v, rec["t"][i]) for i, v in enumerate(row)] for row in rows]
    if rec["m"] == "rowsort":
        cells.sort()
    flat = [v for row in cells for v in row]
    if rec["m"] == "valuesort":
        flat.sort()
    if "v" in rec:
        return None if flat == rec["v"] else "%s instead of %s" % (flat[:8], rec["v"][:8])
    if len(flat) != rec["n"]:
        return "%d values instead of %d" % (len(flat), rec["n"])
    digest = hashlib.md5("".join(v + "\n" for v in flat).encode()).hexdigest()
    return None if digest == rec["h"] else "hash of %d values differs" % rec["n"]


def run_record(target, rec):
    """None: agrees. Else what is wrong."""
    try:
        n, oids, rows = target.run(rec["s"])
    except Failure as e:
        if rec["k"] == "err":
            return None if e.state == rec["e"] else "%s %s instead of %s %s" % (e.state, e, rec["e"], rec.get("x", ""))
        return "%s %s" % (e.state, e)
    if rec["k"] == "err":
        return "succeeds instead of %s %s" % (rec["e"], rec.get("x", ""))
    if rec["k"] == "q":
        return check_q(rec, oids, rows)
    if rec["k"] == "cq":
        return check_cq(rec, rows)
    if rec["k"] == "ok" and "n" in rec and n != rec["n"]:
        return "%d rows affected instead of %d" % (n, rec["n"])
    return None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("target", nargs="+")
    ap.add_argument("--box")
    ap.add_argument("--only", default="")
    ap.add_argument("--fast", action="store_true")
    ap.add_argument("--show", type=int, default=0)
    ap.add_argument("--limit", type=int, default=0)
    ap.add_argument("--seconds", type=float, default=60)
    ap.add_argument("--expect", type=int, default=0)
    args = ap.parse_intermixed_args()
    if args.box:
        target, files = Box(args.box), args.target
    else:
        target, files = Server(args.target[0], int(args.target[1])), args.target[2:]
    counts, reasons, shown, ncases = collections.Counter(), collections.Counter(), 0, 0
    for path in files:
        for line in gzip.open(path, "rt"):
            case = json.loads(line)
            if args.only not in case["name"] or (args.fast and not case.get("fast")):
                continue
            if args.limit and ncases >= args.limit:
                break
            ncases += 1
            target.reset()
            for drop in case["drops"]:
                try:
                    target.run(drop)
                except Failure:
                    pass
            start = time.time()
            for rec in case["recs"]:
                if time.time() - start > args.seconds:
                    counts[case["cat"], "skipped"] += 1
                    continue
                wrong = run_record(target, rec)
                if rec["k"] == "run":
                    continue
                counts[case["cat"], "pass" if wrong is None else "fail"] += 1
                if wrong is not None:
                    reasons[wrong[:60]] += 1
                    if shown < args.show:
                        shown += 1
                        print("%s: %s\n    %s" % (case["name"], rec["s"][:300].replace("\n", " "), wrong[:300]))
            for drop in case["drops"]:
                try:
                    target.run(drop)
                except Failure:
                    pass
    target.close()
    total = collections.Counter()
    for cat in sorted({c for c, _ in counts}):
        p, f, s = (counts[cat, k] for k in ("pass", "fail", "skipped"))
        print("%-20s pass %6d  fail %6d  skipped %5d" % (cat, p, f, s))
        total.update({"pass": p, "fail": f, "skipped": s})
    for reason, n in reasons.most_common(25):
        print("%6d  %s" % (n, reason))
    print("total: pass %d  fail %d  skipped %d" % (total["pass"], total["fail"], total["skipped"]))
    sys.exit(1 if total["fail"] > args.expect else 0)


if __name__ == "__main__":
    main()
