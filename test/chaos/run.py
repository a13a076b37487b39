#!/usr/bin/python3
"""Real servers under faults, with workloads whose histories are checked. See docs/CHAOS.md.

usage: run.py --row N [--seconds S] [--workloads a,b] [--seed N] [--out DIR] [--isolation LEVEL --expect KINDS]
       run.py --all [--seconds S]        every row, one after the other, and a table
       run.py --list

Exit codes: 0 passed, 1 failed, 77 cannot run here (needs root, or a package).
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import psycopg2

import client
import nemesis
import rows
import workloads
from nodes import Cluster

SKIPPED = 77


class Run:
    """What the workers share."""

    def __init__(self, cluster, isolation, deadline):
        self.cluster, self.isolation, self.deadline = cluster, isolation, deadline
        self.history = client.History()
        self.stop = threading.Event()


def with_retry(run, work, seconds=30):
    """The result of work(session) from any node that answers."""
    end, at = time.monotonic() + seconds, 0
    while True:
        session = client.Session(run.cluster.routers[at % len(run.cluster.routers)], 20)
        at += 1
        try:
            session.connect()
            return work(session)
        except (psycopg2.Error, client.Timeout) as e:
            if time.monotonic() > end:
                raise RuntimeError(f"no answer within {seconds} s: {e}") from e
            time.sleep(0.1)
        finally:
            session.close()


def gap(times, begin, end):
    """The longest time within [begin, end] in which nothing succeeded."""
    longest, last = 0.0, begin
    for t in sorted(t for t in times if begin <= t <= end):
        longest, last = max(longest, t - last), t
    return max(longest, end - last)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else 0.0


class Verdict:
    def __init__(self):
        self.failures = []
        self.figures = []

    def fail(self, text):
        self.failures.append(text)

    def figure(self, text):
        self.figures.append(text)


def settle(run, verdict):
    """After the faults: no prepared transaction is left, replicas of a shard are equal."""
    begin, left = time.monotonic(), None
    while time.monotonic() < begin + 30:
        s = run.cluster.status()
        if s is not None:
            left = [(n["node"], r["shard"], r["prepared"]) for n in s["nodes"] for r in n.get("replicas", ())
                    if r["prepared"]]
            without = [x["shard"] for x in s["shards"] if not x.get("leader")]
            if not left and not without and all(n["state"] == "up" for n in s["nodes"]):
                verdict.figure(f"locks of prepared transactions gone {time.monotonic() - begin:.1f} s after the end")
                break
        time.sleep(0.1)
    else:
        verdict.fail(f"30 s after the end: prepared (node, shard, count) {left}")
        return
    for shard in {r["shard"] for n in s["nodes"] for r in n.get("replicas", ())}:
        sums = {}
        for n in s["nodes"]:
            for r in n.get("replicas", ()):
                if r["shard"] == shard and int(r["checksum"], 16) != 0:
                    sums.setdefault(r["checksum_index"], set()).add(r["checksum"])
        for index, different in sums.items():
            if len(different) > 1:
                verdict.fail(f"replicas of shard {shard} differ at index {index}: {different}")


def run_row(row, args):
    """A verdict. With --out the history, and after a failure the servers' logs, are kept there."""
    verdict = Verdict()
    rng = random.Random(args.seed)
    chosen = [workloads.BY_NAME[n]() for n in (args.workloads.split(",") if args.workloads else row.workloads)]
    with Cluster(row.nodes, row.routers, row.use_namespaces, storage_settings=row.settings) as cluster:
        row.prepare(cluster)
        cluster.start()
        run = Run(cluster, args.isolation, row.deadline)

        def setup(session):
            for w in chosen:
                w.setup(session)

        with_retry(run, setup, 0)
        workers = [client.Worker(run, w, i, rng.random()) for w in chosen for i in range(w.workers)]
        begin = time.monotonic()
        for w in workers:
            w.start()
        quiet = max(2.0, args.seconds * 0.15)
        time.sleep(quiet)
        fault_begin = time.monotonic()
        figures, stop = {}, threading.Event()
        faults = nemesis.Faults(cluster, run.history, stop, rng, figures)
        broken = []

        def harm():
            try:
                row.nemesis(faults)
            except Exception as e:  # pylint: disable=broad-except
                broken.append(f"{type(e).__name__}: {e}")

        thread = threading.Thread(target=harm, daemon=True)
        thread.start()
        thread.join(args.seconds)
        stop.set()
        thread.join(120)
        if thread.is_alive():
            verdict.fail("the nemesis did not end")
        for text in broken:
            verdict.fail(f"during the faults: {text}")
        run.history.note("heal all")
        for number, code in cluster.heal():
            verdict.fail(f"node {number} ended by itself with {code}\n{cluster.node(number).last_words()}")
        fault_end = time.monotonic()
        try:
            cluster.wait_ready(60)
            time.sleep(quiet)
        except RuntimeError as e:
            verdict.fail(str(e))
        end = time.monotonic()
        run.stop.set()
        for w in workers:
            w.join(row.deadline * 4)
            if w.is_alive():
                verdict.fail(f"worker {w.name} hangs")
            if w.failure is not None:
                verdict.fail(f"worker {w.name}: {w.failure!r}")
        settle(run, verdict)
        history = run.history
        if args.out:
            os.makedirs(args.out, exist_ok=True)
            history.save(os.path.join(args.out, f"row{row.number}-seed{args.seed}.jsonl"))
        found = {}
        for w in chosen:
            ops = history.of(w.name)
            try:
                final = with_retry(run, w.final)
            except RuntimeError as e:
                verdict.fail(f"{w.name}: the final read: {e}")
                continue
            for kind, text in w.check(ops, final):
                found.setdefault(f"{w.name}: {kind}", []).append(text)
            ok = [o for o in ops if o["type"] == "ok"]
            if not any(o["t0"] > fault_end for o in ok):
                verdict.fail(f"{w.name}: nothing succeeded after the faults")
        report(row, run, chosen, verdict, (begin, fault_begin, fault_end, end))
        for fault in row.figures(figures):
            verdict.fail(fault)
        if figures:
            verdict.figure(nemesis.summary(figures))
        judge(args, verdict, found, history)
        for name, code in history.unexpected.items():
            verdict.fail(f"an answer that nothing explains: {code} {name}")
        if verdict.failures and args.out:
            for n in cluster.nodes:
                shutil.copytree(os.path.join(n.dir, "log"),
                                os.path.join(args.out, f"row{row.number}-seed{args.seed}-node{n.number}"),
                                dirs_exist_ok=True)
    return verdict


def judge(args, verdict, found, history):
    if args.expect:
        for kind in args.expect.split(","):
            if not any(name.endswith(kind) for name in found):
                verdict.fail(f"the checkers did not see {kind}")
        verdict.figure("seen: " + ", ".join(f"{name} x{len(t)}" for name, t in sorted(found.items())))
        return
    for name, texts in found.items():
        verdict.fail(f"{name} ({len(texts)}): {texts[0]}")
        for t in texts[1:3]:
            verdict.fail(f"    also: {t}")
    if found:
        print("what the nemesis did:")
        for t, text in history.events:
            print(f"  {t:.3f} {text}")


def report(row, run, chosen, verdict, times):
    begin, fault_begin, fault_end, end = times
    ops = run.history.ops
    ok = [o for o in ops if o["type"] == "ok"]
    info = sum(o["type"] == "info" for o in ops)

    def rate(a, b):
        return sum(a <= o["t1"] < b for o in ok) / max(0.001, b - a)

    verdict.figure(f"ok {len(ok)}, fail {sum(o['type'] == 'fail' for o in ops)}, info {info} "
                   f"({100 * info / max(1, len(ops)):.2f} %)")
    verdict.figure(f"ok/s before {rate(begin, fault_begin):.0f}, during {rate(fault_begin, fault_end):.0f}, "
                   f"after {rate(fault_end, end):.0f}; p99 before "
                   f"{1000 * quantile([o['t1'] - o['t0'] for o in ok if o['t1'] < fault_begin], 0.99):.0f} ms")
    whole = gap([o["t1"] for o in ok], fault_begin, end)
    each = {w.name: gap([o["t1"] for o in ok if o["w"] == w.name], fault_begin, end) for w in chosen}
    worst = max(each, key=each.get)
    verdict.figure(f"longest gap {whole:.2f} s; of one workload {each[worst]:.2f} s ({worst})")
    back = [o["t1"] for o in ok if o["t0"] > fault_end]
    if back:
        verdict.figure(f"first success {min(back) - fault_end:.2f} s after the end of faults")
    if row.gap_limit is not None and whole > row.gap_limit:
        verdict.fail(f"longest gap {whole:.2f} s, allowed {row.gap_limit} s")
    errors = {}
    for o in ops:
        if o["type"] != "ok":
            key = f"{o['type']} {o['error']}"
            errors[key] = errors.get(key, 0) + 1
    verdict.figure("errors: " + ", ".join(f"{k} x{v}" for k, v in sorted(errors.items(), key=lambda e: -e[1])[:10]))


def print_verdict(row, verdict, args):
    print(f"row {row.number} {row.name}: {'FAIL' if verdict.failures else 'PASS'} "
          f"({args.seconds} s of faults, seed {args.seed}{', ' + args.isolation if args.isolation else ''})")
    for text in verdict.figures:
        print(f"    {text}")
    for text in verdict.failures:
        print(f"  FAILED {text}")
    sys.stdout.flush()


def run_all(args):
    """Each row in a process of its own, so that what it made is gone when the next begins."""
    results = []
    for number in sorted(rows.ROWS):
        command = [sys.executable, os.path.abspath(__file__), "--row", str(number), "--seed", str(args.seed)]
        if args.seconds is not None:
            command += ["--seconds", str(args.seconds)]
        if args.out:
            command += ["--out", args.out]
        code = subprocess.run(command, check=False).returncode
        results.append((number, {0: "PASS", SKIPPED: "skipped"}.get(code, "FAIL")))
    print("\n row  what" + " " * 44 + "verdict")
    for number, text in results:
        print(f"  {number:2}  {rows.ROWS[number].name:47} {text}")
    return 1 if any(text == "FAIL" for _, text in results) else 0


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--row", type=int)
    ap.add_argument("--all", action="store_true")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--seconds", type=float)
    ap.add_argument("--workloads")
    ap.add_argument("--seed", type=int, default=random.randrange(1000000))
    ap.add_argument("--out")
    ap.add_argument("--isolation")
    ap.add_argument("--expect", help="kinds of anomalies that must be seen: a negative run")
    args = ap.parse_args()
    if args.list:
        for number, row in sorted(rows.ROWS.items()):
            print(f"{number:3} {row.name}")
        return 0
    if args.all:
        return run_all(args)
    if args.row not in rows.ROWS:
        ap.error("which row? --list shows them")
    row = rows.ROWS[args.row]
    missing = row.missing()
    if missing:
        print(f"row {row.number} {row.name}: skipped: {missing}")
        return SKIPPED
    args.seconds = args.seconds or row.seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was made is removed
    verdict = run_row(row, args)
    print_verdict(row, verdict, args)
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
