#!/usr/bin/python3
"""cluster.join: servers that join a running cluster, as a router only and with all roles, and that start again, also
while the server they joined through is down; a cluster of another name, a number in use and a server that cannot form
a cluster are refused. Replicas move to the new one, and are made anew on it."""
import collections
import contextlib
import glob
import re
import signal
import sys

from cluster import Cluster, free_port_range, query
from server import Server, await_that, expect, run_cases

CLUSTER = None


def joining(number, roles):
    """A server that is about to join through node 1."""
    with open(f"{CLUSTER.dir}/node1/sherd.yaml") as f:
        name = re.search(r"^ *name: *(\S+)", f.read(), re.M).group(1)
    s = Server(values={"cluster.name": name, "node.id": number, "node.roles": f"[{', '.join(roles)}]",
                       "cluster.join": f"127.0.0.1:{CLUSTER.sql_port(1) + 1}"})
    del s.values["cluster.initial"]
    return s


def logs(server):
    text = ""
    for path in glob.glob(server.values["log.dir"] + "/*"):
        with open(path, errors="replace") as f:
            text += f.read()
    return text


def a_router():
    with joining(4, ["router"]) as s:
        s.start()
        conn = s.connect()
        query(conn, "CREATE TABLE through_a_router (id int PRIMARY KEY)")
        query(conn, "INSERT INTO through_a_router SELECT i FROM generate_series(1, 100) i")
        expect(query(CLUSTER.connect(2), "SELECT count(*) FROM through_a_router") == [(100,)], "another node has others")
        for sig in (signal.SIGKILL, signal.SIGTERM):
            s.stop(sig)
            s.start()
            expect(query(s.connect(), "SELECT count(*) FROM through_a_router") == [(100,)], "after a start")


def while_the_door_is_closed():
    """A start works without the server that it joined through."""
    with joining(5, ["router"]) as s:
        s.start()
        s.stop(signal.SIGKILL)
        CLUSTER.kill(1)
        s.start()
        expect("join through" in logs(s), "it has asked for nothing")
        expect(query(s.connect(), "SELECT 1") == [(1,)], "it serves")
        CLUSTER.start(1)


def another_name():
    with joining(7, ["router"]) as s:
        s.values["cluster.name"] = "another"
        s.refuses('of cluster "local", not of "another"', "cluster.join")


def a_number_in_use():
    with joining(1, ["router"]) as s:
        s.refuses("node 1 is known with another data directory", "another node id")


def a_shard_node():
    with joining(6, ["metadata", "shard", "router"]) as s:
        s.start()
        query(s.connect(), "CREATE TABLE everywhere (id int PRIMARY KEY) WITH (sharding = 'reference')")
        query(s.connect(), "INSERT INTO everywhere VALUES (1)")

        def has_replica():
            return any("6" in re.findall(r"\d+", str(r[0])) for r in query(s.connect(), "SELECT learners FROM sherd_shards"))
        await_that(has_replica, "a replica on the new node")
        s.stop(signal.SIGKILL)
        s.start()
        expect(query(s.connect(), "SELECT id FROM everywhere") == [(1,)], "it serves after a start")


def its_part_of_the_replicas():
    """Replicas of what is there move to it until no node has two more than another; the rows stay readable."""
    conn = CLUSTER.connect(1)
    query(conn, "CREATE TABLE wide (id int PRIMARY KEY, v int) WITH (sharding = 'hash', shards = 4)")
    query(conn, "INSERT INTO wide SELECT i, i FROM generate_series(1, 1000) i")
    with joining(8, ["metadata", "shard", "router"]) as s:
        s.start()

        def is_even():
            expect(query(conn, "SELECT count(*), sum(v) FROM wide") == [(1000, 500500)], "rows while replicas move")
            have = collections.Counter(n for r, in query(conn, "SELECT replicas FROM sherd_shards") for n in r)
            return min(have[n] for n in (1, 2, 3, 8)) + 1 >= max(have.values())
        await_that(is_even, "as many replicas on the new node as on the others", 60)
        expect(query(s.connect(), "SELECT count(*), sum(v) FROM wide") == [(1000, 500500)], "rows by the new node")


def a_dead_node_is_replaced():
    """cluster.replace_after: its replicas are made anew on the node that has none."""
    port = free_port_range(4)
    initial = ", ".join(f"{{node: {n}, host: 127.0.0.1, grpc_port: {port + 10 * n - 9}, raft_port: {port + 10 * n - 8}}}"
                        for n in (1, 2, 3))
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(Server(port=port + 10 * n - 10, values={
            "node.id": n, "cluster.replace_after": "1s", "cluster.initial": f"[{initial}]" if n < 4 else None,
            "cluster.join": f"127.0.0.1:{port + 1}" if n == 4 else None})) for n in (1, 2, 3, 4)]
        for s in nodes[:2]:
            s.spawn()
        nodes[2].start()  # ready when it has the others
        nodes[3].start()
        conn = nodes[3].connect()
        query(conn, "CREATE TABLE t (id int PRIMARY KEY)")
        nodes[2].stop(signal.SIGKILL)

        def replicas():
            return [sorted(r) for r, in query(conn, "SELECT replicas FROM sherd_shards")]
        await_that(lambda: all(r == [1, 2, 4] for r in replicas()), "replicas on the new node in place of the dead one's", 60)


def a_router_does_not_form():
    with Server(values={"node.roles": "[router]"}) as s:
        s.refuses("without the roles metadata and shard", "cluster.join")


def main():
    global CLUSTER
    with Cluster() as CLUSTER:
        return run_cases([(f.__name__.replace("_", " "), f) for f in
                          (a_router, while_the_door_is_closed, another_name, a_number_in_use, a_shard_node, a_router_does_not_form,
                           its_part_of_the_replicas, a_dead_node_is_replaced)])


if __name__ == "__main__":
    sys.exit(main())
