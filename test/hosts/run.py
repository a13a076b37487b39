#!/usr/bin/python3
"""A cluster's life on real hosts: run.py [--dir DIR] [--keep]

Makes hosts (hosts.py), provisions them with the playbooks of ansible/, and goes through what an operator does and what
happens to machines, with clients at every node that insert rows all the while: first deployment, login over the network,
firewall, a second deployment that changes nothing, a server killed, a changed configuration and an upgrade that roll
through node by node, a fourth node, a power cut, a partition, wiping. What was acknowledged must be there once at the
end, and nothing else than what was tried.

Needs root, scripts/install-packages.sh --hosts and scripts/build.sh. Prints one line a step with its seconds, then the
verdict; exit code 0: all as it must be. Playbooks' output is in DIR/log. --keep leaves the hosts up.
"""
import argparse
import collections
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import psycopg2

from hosts import Hosts, run

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
ANSIBLE = os.path.join(ROOT, "ansible")
PASSWORD = "a secret: 100 %"
SQL, GRPC, RAFT, HTTP = 7432, 7433, 7434, 7435
PAUSE = 0.02  # of a client after each row: the hosts share one machine


def load_problems():
    spec = importlib.util.spec_from_file_location("sherd_filter", os.path.join(ANSIBLE, "roles/sherd/filter_plugins/sherd.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sherd_problems


class Failed(Exception):
    """What was seen is not what must be."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


def await_that(condition, what, seconds):
    """Asks again until it holds: for what nothing tells of. The seconds it took."""
    begin = time.monotonic()
    while True:
        value = condition()
        if value:
            return time.monotonic() - begin
        expect(time.monotonic() - begin < seconds, f"not within {seconds} s: {what}")
        time.sleep(0.1)


def connect(address, **more):
    c = psycopg2.connect(**{"host": address, "port": SQL, "user": "sherd", "dbname": "sherd", "password": PASSWORD,
                            "connect_timeout": 3, "tcp_user_timeout": 3000, "options": "-c statement_timeout=5s", **more})
    c.autocommit = True
    return c


def query(address, sql):
    with contextlib.closing(connect(address)) as c, c.cursor() as cur:
        cur.execute(sql)
        return cur.fetchall() if cur.description else None


# ---- clients ----

class Writer(threading.Thread):
    """Inserts one row after the other through one node; knows which were acknowledged and which may be there."""

    def __init__(self, number, address):
        super().__init__(daemon=True)
        self.number, self.address = number, address
        self.acknowledged, self.maybe = {}, set()  # id: when; ids
        self.errors = collections.Counter()
        self.is_ending = threading.Event()

    def run(self):
        conn = None
        i = 0
        while not self.is_ending.is_set():
            i += 1
            row = self.number * 10_000_000 + i
            try:
                conn = conn or connect(self.address)
                with conn.cursor() as cur:
                    self.maybe.add(row)
                    cur.execute("INSERT INTO ledger VALUES (%s, %s)", (row, self.number))
                self.acknowledged[row] = time.monotonic()
                self.maybe.discard(row)
                self.is_ending.wait(PAUSE)
            except psycopg2.Error as e:
                state = e.pgcode or "connection"
                self.errors[state] += 1
                if state not in ("08007", "40003", "57014", "connection") and state[:2] != "57":
                    self.maybe.discard(row)  # it says that nothing was done
                if conn is not None:
                    with contextlib.suppress(psycopg2.Error):
                        conn.close()
                    conn = None
                self.is_ending.wait(0.05)

    def end(self):
        self.is_ending.set()
        self.join(30)
        expect(not self.is_alive(), f"the client of node {self.number} hangs")


class Watch(threading.Thread):
    """Asks every node for /health all the time: how many did not serve at once, at most."""

    def __init__(self, addresses):
        super().__init__(daemon=True)
        self.addresses = addresses
        self.worst, self.seen_down = 0, set()
        self.is_ending = threading.Event()

    def run(self):
        while not self.is_ending.is_set():
            down = [a for a in self.addresses if not is_serving(a)]
            self.seen_down.update(down)
            self.worst = max(self.worst, len(down))
            self.is_ending.wait(0.05)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_ending.set()
        self.join()


def is_serving(address):
    try:
        with urllib.request.urlopen(f"http://{address}:{HTTP}/health", timeout=2) as r:
            return r.status == 200
    except OSError:
        return False


# ---- the life ----

class Life:
    def __init__(self, directory):
        self.hosts = Hosts(directory)
        self.log = os.path.join(self.hosts.dir, "log")
        self.variables = {"sherd_password": PASSWORD}
        self.joining = set()
        self.writers = []
        self.problems = load_problems()
        self.founders = 3
        self.away = None  # a node that is not asked: its host is off or cut off

    def address(self, number):
        return self.hosts[number].address

    def addresses(self):
        return [h.address for h in self.hosts.hosts.values()]

    # -- ansible --

    def playbook(self, name, *arguments, code=0):
        """Its output; the numbers of its recap are in self.recap."""
        path = os.path.join(self.hosts.dir, "inventory.json")
        with open(path, "w") as f:
            json.dump(self.hosts.inventory(self.joining, self.variables), f, indent=1)
        r = subprocess.run(["ansible-playbook", "-i", path, os.path.join(ANSIBLE, name), *arguments], cwd=ANSIBLE,
                           env={**os.environ, "ANSIBLE_CONFIG": os.path.join(ANSIBLE, "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
                           capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        os.makedirs(self.log, exist_ok=True)
        with open(os.path.join(self.log, f"{len(os.listdir(self.log)) + 1:02}-{name}.log"), "w") as f:
            f.write(r.stdout + r.stderr)
        expect((r.returncode == 0) == (code == 0), f"{name} ended with {r.returncode}:\n{(r.stdout + r.stderr)[-4000:]}")
        expect(PASSWORD not in r.stdout + r.stderr, f"{name} shows the password")
        self.recap = {m[1]: int(m[2]) for m in re.finditer(r"^(\S+) +: ok=\d+ +changed=(\d+)", r.stdout, re.M)}
        return r.stdout + r.stderr

    # -- the cluster --

    def sherd(self, *arguments, address=None, check=True):
        return run(os.path.join(ROOT, "build/release/bin/sherd"), *arguments, "-h", address or self.address(1), check=check,
                   env={**os.environ, "SHERD_PASSWORD": PASSWORD}, timeout=60)

    def status(self):
        """By the first node that answers; None when nobody does."""
        for n in self.hosts.hosts:
            if n != self.away:
                text = self.sherd("status", "--json", address=self.address(n), check=False)
                if text.startswith("{"):
                    return json.loads(text)
        return None

    def leader(self):
        """The node that leads the ledger's shard: the first one, in the order of keys."""
        return self.status()["shards"][0]["leader"]

    def await_whole(self, seconds=120):
        """Until all nodes are up and every shard has its replicas."""
        last = ["nothing was said"]

        def is_whole():
            nonlocal last
            status = self.status()
            if status is not None:
                last = self.problems(json.dumps(status), list(self.hosts.hosts), self.founders)
            return status is not None and not last
        try:
            return await_that(is_whole, "the cluster is whole", seconds)
        except Failed as e:
            raise Failed(f"{e}: {last}") from None

    def started(self, number):
        """Which start of the service this is."""
        return self.hosts[number].ssh("systemctl show sherd -p InvocationID --value").strip()

    # -- clients --

    def write(self):
        query(self.address(1), "CREATE TABLE ledger (id bigint PRIMARY KEY, node int)")
        for n in self.hosts.hosts:
            self.add_writer(n)

    def add_writer(self, number):
        w = Writer(number, self.address(number))
        self.writers.append(w)
        w.start()

    def count(self, numbers=None):
        return sum(len(w.acknowledged) for w in self.writers if numbers is None or w.number in numbers)

    def await_writes(self, numbers, seconds, rows=50):
        """Until the clients of each of these nodes have had some rows acknowledged."""
        before = {n: self.count([n]) for n in numbers}
        return await_that(lambda: all(self.count([n]) >= before[n] + rows for n in numbers),
                          f"{rows} rows through each of the nodes {numbers}", seconds)

    def longest_gap(self, begin, end):
        """The longest time in which no row was acknowledged to anybody."""
        times = sorted(t for w in self.writers for t in list(w.acknowledged.values()) if begin <= t <= end)
        return max(b - a for a, b in zip([begin, *times], [*times, end]))

    # -- the steps: each returns a note --

    def make_hosts(self):
        self.hosts.up(3)
        return ", ".join(self.addresses())

    def deploy(self):
        self.playbook("deploy.yaml")
        expect(all(self.recap.get(h.name, 0) > 0 for h in self.hosts.hosts.values()), f"changed: {self.recap}")
        unit = self.hosts[1].ssh("systemctl show sherd -p User -p LimitNOFILE -p UnitFileState")
        expect("User=sherd" in unit and "LimitNOFILE=65536" in unit and "UnitFileState=enabled" in unit, unit)

    def log_in(self):
        for a in self.addresses():
            expect(query(a, "SELECT current_user") == [("sherd",)], f"{a}: another user")
            env = {**os.environ, "PGPASSWORD": "wrong"}
            r = subprocess.run(["psql", "-X", "-w", "-h", a, "-p", str(SQL), "-U", "sherd", "-c", "SELECT 1", "sherd"],
                               env=env, capture_output=True, text=True, timeout=30)
            expect(r.returncode == 2 and "password authentication failed" in r.stderr, r.stdout + r.stderr)
            expect(self.sherd("sql", "-At", "-c", "SELECT 6 * 7", address=a) == "42\n", f"{a}: gRPC")
        r = subprocess.run([os.path.join(ROOT, "build/release/bin/sherd"), "sql", "-h", self.address(1), "-c", "SELECT 1"],
                           env={**os.environ, "SHERD_PASSWORD": "wrong"}, capture_output=True, text=True, timeout=30)
        expect(r.returncode == 2 and "password authentication failed" in r.stderr, r.stdout + r.stderr)

    def firewall(self):
        """A stranger reaches the SQL port and no other; the machine that administers reaches all."""
        stranger = f"{self.hosts.net}.2"
        run("ip", "addr", "add", f"{stranger}/32", "dev", self.hosts.bridge)

        def reaches(source, port):
            with socket.socket() as s:
                s.settimeout(1.5)
                s.bind((source, 0))
                try:
                    s.connect((self.address(1), port))
                except socket.timeout:
                    return False
                return True
        for port in (SQL, GRPC, RAFT, HTTP):
            expect(reaches(f"{self.hosts.net}.1", port), f"administration does not reach port {port}")
            expect(reaches(stranger, port) == (port == SQL), f"port {port} and a stranger")
        # Who begins anew with his own rules does not open it.
        self.hosts[1].ssh("sudo systemctl start nftables && sudo systemctl reload nftables && sudo systemctl restart nftables")
        expect(not reaches(stranger, GRPC), "open after nftables has begun anew")
        run("ip", "addr", "del", f"{stranger}/32", "dev", self.hosts.bridge)

    def deploy_again(self):
        before = [self.started(n) for n in self.hosts.hosts]
        self.playbook("deploy.yaml")
        expect(self.recap and not any(self.recap.values()), f"changed: {self.recap}")
        expect(before == [self.started(n) for n in self.hosts.hosts], "a node was restarted")

    def kill_server(self):
        """SIGKILL of the server: systemd starts it again."""
        before = self.started(2)
        self.hosts[2].ssh("sudo systemctl kill -s KILL sherd")
        seconds = await_that(lambda: self.started(2) != before and is_serving(self.address(2)), "node 2 serves again", 60)
        self.await_whole()
        self.await_writes([1, 2, 3], 60)
        return f"serves after {seconds:.1f} s"

    def stop_server(self):
        """A stop ends by itself, well before systemd would kill it, and leaves the others working."""
        begin = time.monotonic()
        self.hosts[1].ssh("sudo systemctl stop sherd")
        seconds = time.monotonic() - begin
        told = self.hosts[1].ssh("systemctl show sherd -p Result -p ExecMainStatus")
        expect("Result=success" in told and "ExecMainStatus=0" in told, told)
        expect(seconds < 15, f"it took {seconds:.1f} s")
        self.await_writes([2, 3], 30)
        self.hosts[1].ssh("sudo systemctl start sherd")
        self.await_whole()
        self.await_writes([1, 2, 3], 60)
        return f"stopped in {seconds:.1f} s"

    def roll(self, what):
        """deploy.yaml restarts every node, never two at a time, while clients write."""
        before = {n: self.started(n) for n in self.hosts.hosts}
        begin = time.monotonic()
        count = self.count()
        with Watch(self.addresses()) as watch:
            self.playbook("deploy.yaml")
        end = time.monotonic()
        for n in self.hosts.hosts:
            expect(self.started(n) != before[n], f"node {n} was not restarted for {what}")
        expect(watch.worst == 1, f"{watch.worst} nodes did not serve at one time")
        expect(watch.seen_down == set(self.addresses()), f"only {watch.seen_down} were seen restarting")
        return f"{self.count() - count} rows meanwhile, longest gap {self.longest_gap(begin, end):.2f} s"

    def change_configuration(self):
        self.variables["sherd_settings"] = {"storage": {"cache_mb": 48}, "sql": {"connections_max": 321}}
        note = self.roll("a new configuration")
        text = self.hosts[3].ssh("sudo cat /etc/sherd/sherd.yaml")
        expect("cache_mb: 48" in text and "connections_max: 321" in text, text)
        return note

    def bad_configuration(self):
        """One that the server does not take is not put in place, and nothing is restarted."""
        good = self.variables["sherd_settings"]
        before = [self.started(n) for n in self.hosts.hosts]
        self.variables["sherd_settings"] = {"storage": {"cash_mb": 48}}
        said = self.playbook("deploy.yaml", code=1)
        expect('unknown key \\"cash_mb\\"' in said or 'unknown key "cash_mb"' in said, said[-2000:])
        expect("cash_mb" not in self.hosts[1].ssh("sudo cat /etc/sherd/sherd.yaml"), "it was put in place")
        self.variables["sherd_settings"] = good
        expect(before == [self.started(n) for n in self.hosts.hosts], "a node was restarted")

    def upgrade(self):
        """Other binaries: the same without their symbols."""
        other = os.path.join(self.hosts.dir, "bin")
        os.makedirs(other, exist_ok=True)
        for name in ("sherdd", "sherd"):
            run("strip", "-o", os.path.join(other, name), os.path.join(ROOT, "build/release/bin", name))
        self.variables["sherd_build_dir"] = other
        return self.roll("new binaries")

    def add_node(self):
        """It joins, gets a copy of the reference table and half of the replicas of the node in its zone, and serves."""
        query(self.address(1), "CREATE TABLE rates (id int PRIMARY KEY, v int) WITH (sharding = 'reference')")
        query(self.address(1), "INSERT INTO rates SELECT i, i FROM generate_series(1, 1000) i")
        query(self.address(1), "CREATE TABLE wide (id int PRIMARY KEY, v int) WITH (sharding = 'hash', shards = 8)")
        query(self.address(1), "INSERT INTO wide SELECT i, i FROM generate_series(1, 1000) i")
        number = self.hosts.add().number
        self.joining.add(number)
        self.playbook("add-node.yaml", "-e", "node=h4")

        def held():
            """Number of replicas by node."""
            status = self.status()
            return collections.Counter(r["node"] for s in status["shards"] for r in s["replicas"]) if status else {}

        # Nodes 1 and 4 stand in zone b: the others keep theirs, so that each shard has a replica in each zone.
        seconds = await_that(lambda: held()[4] > 0 and abs(held()[1] - held()[4]) <= 1, "half of node 1's replicas", 180)
        self.await_whole()
        for s in self.status()["shards"]:
            voters = {r["node"] for r in s["replicas"] if not r["learner"]}
            expect(voters in ({1, 2, 3}, {2, 3, 4}), f"shard {s['shard']} has its voters on {voters}")
        reference = [s for s in self.status()["shards"] if s["placement"] == "reference"]
        expect(reference and 4 in [r["node"] for r in reference[0]["replicas"]], f"the reference table: {reference}")
        expect(query(self.address(4), "SELECT count(*), sum(v) FROM rates") == [(1000, 500500)], "the reference table")
        expect(query(self.address(4), "SELECT count(*), sum(v) FROM wide") == [(1000, 500500)], "the hash-sharded table")
        self.playbook("deploy.yaml")
        expect(not any(self.recap.values()), f"a deployment of the whole changes: {self.recap}")
        self.add_writer(4)
        self.await_writes([1, 2, 3, 4], 60)
        return f"{held()[4]} replicas there {seconds:.1f} s after the play"

    def cut_power(self):
        """Process 1 of the leader's host is killed; it comes back, systemd starts sherd, it has its data and catches up."""
        self.away = number = self.leader()
        begin = time.monotonic()
        self.hosts[number].off()
        self.await_writes([n for n in self.hosts.hosts if n != number], 60)
        gap = self.longest_gap(begin, time.monotonic())
        self.hosts[number].on()
        self.hosts[number].wait_up()
        seconds = await_that(lambda: is_serving(self.address(number)), f"node {number} serves", 60)
        self.away = None
        whole = self.await_whole()
        self.await_writes(list(self.hosts.hosts), 60)
        expect(query(self.address(number), "SELECT count(*) FROM wide") == [(1000,)], "rows")
        return f"node {number}, longest gap {gap:.2f} s; serves {seconds:.1f} s after boot, whole {whole:.1f} s later"

    def partition(self):
        """Nothing passes between the leader's host and the others: they go on, and after it heals all do."""
        self.away = number = self.leader()
        others = [n for n in self.hosts.hosts if n != number]
        begin = time.monotonic()
        self.hosts.cut(number)
        self.await_writes(others, 60)
        gap = self.longest_gap(begin, time.monotonic())
        await_that(lambda: self.states().get(number) == "down", f"the others miss node {number}", 60)
        alone = self.count([number])
        self.await_writes(others, 60)
        expect(self.count([number]) == alone, "the node that is cut off acknowledges rows")
        self.hosts[number].heal()
        self.away = None
        whole = self.await_whole()
        self.await_writes(list(self.hosts.hosts), 60)
        return f"node {number}, longest gap {gap:.2f} s; whole {whole:.1f} s after it healed"

    def states(self):
        status = self.status()
        return {n["node"]: n["state"] for n in status["nodes"]} if status else {}

    def ledger(self):
        """Every acknowledged row is there once; every other row that is there was tried."""
        for w in self.writers:
            w.end()
        acknowledged = {r for w in self.writers for r in w.acknowledged}
        maybe = {r for w in self.writers for r in w.maybe}
        for n in self.hosts.hosts:
            rows = [r[0] for r in query(self.address(n), "SELECT id FROM ledger ORDER BY id")]
            expect(len(rows) == len(set(rows)), f"node {n}: rows twice")
            lost, strange = acknowledged - set(rows), set(rows) - acknowledged - maybe
            expect(not lost, f"node {n}: {len(lost)} acknowledged rows are lost: {sorted(lost)[:10]}")
            expect(not strange, f"node {n}: {len(strange)} rows that nobody wrote, or that were refused: {sorted(strange)[:10]}")
        errors = sum((w.errors for w in self.writers), collections.Counter())
        return f"{len(acknowledged)} acknowledged, {len(maybe)} unknown, none lost; errors seen {dict(errors)}"

    def logs(self):
        """Nothing was logged as a defect, and systemd had to kill nothing."""
        for h in self.hosts.hosts.values():
            errors = h.ssh("sudo sh -c 'grep -h ERROR /var/log/sherd/error.log; true'")
            expect("assert" not in errors.lower() and "corrupt" not in errors.lower(), f"{h.name}:\n{errors[-2000:]}")
            expect("Sanitizer" not in errors, errors)

    def destroy(self):
        said = self.playbook("destroy.yaml", code=1)
        expect("destroy=hosts" in said, said[-2000:])
        expect(all(is_serving(a) for a in self.addresses()), "a node has gone without having been asked")
        self.playbook("destroy.yaml", "-e", "destroy=hosts")
        for h in self.hosts.hosts.values():
            left = h.ssh("ls -d /etc/sherd /var/lib/sherd /var/log/sherd /usr/local/bin/sherd* /etc/systemd/system/sherd* "
                         "/etc/systemd/system/nftables.service.d/sherd.conf 2>/dev/null; sudo nft list tables; id sherd 2>/dev/null",
                         check=False)
            expect("sherd" not in left, f"{h.name}: {left}")
        self.playbook("destroy.yaml", "-e", "destroy=hosts")
        expect(not any(self.recap.values()), f"a second time changes: {self.recap}")

    def down(self):
        bridge, folder = self.hosts.bridge, self.hosts.dir
        self.hosts.down()
        left = run("ip", "-o", "link") + run("ip", "netns", "list") + run("nft", "list", "tables")
        expect(not re.search(rf"\b{bridge}\b|\b{bridge}[-v]", left), f"left behind:\n{left}")
        with open("/proc/mounts") as f:
            expect(f"{folder}/" not in f.read(), "a mount is left")

    def steps(self):
        return [
            ("three hosts boot", self.make_hosts), ("deploy", self.deploy), ("log in by password", self.log_in),
            ("firewall", self.firewall), ("deploy again changes nothing", self.deploy_again),
            ("clients begin to write", self.write), ("a server is killed", self.kill_server),
            ("a server is stopped", self.stop_server), ("a configuration rolls through", self.change_configuration),
            ("a bad configuration is refused", self.bad_configuration), ("an upgrade rolls through", self.upgrade),
            ("a fourth node", self.add_node), ("power cut", self.cut_power), ("partition", self.partition),
            ("acknowledged rows", self.ledger), ("logs", self.logs), ("destroy", self.destroy),
        ]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dir", default=os.environ.get("SHERD_HOSTS_DIR", "build/hosts"))
    p.add_argument("--keep", action="store_true")
    a = p.parse_args()
    if os.getuid() != 0:
        sys.exit("run.py: needs root")
    life = Life(a.dir)
    shutil.rmtree(life.log, ignore_errors=True)
    begin = time.monotonic()
    failed = None
    steps = life.steps()
    for name, step in steps:
        at = time.monotonic()
        try:
            note = step()
            print(f"ok      {name} ({time.monotonic() - at:.1f} s){': ' + note if note else ''}", flush=True)
        except Exception as e:  # what follows builds on it
            failed = name
            print(f"FAILED  {name} ({time.monotonic() - at:.1f} s): {type(e).__name__}: {e}", flush=True)
            break
    for w in life.writers:
        w.is_ending.set()
    if failed is None or not a.keep:
        at = time.monotonic()
        life.down()
        print(f"ok      down ({time.monotonic() - at:.1f} s)", flush=True)
    verdict = f"failed at: {failed}" if failed else f"all {len(steps)} steps are as they must be"
    print(f"{verdict}; {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
