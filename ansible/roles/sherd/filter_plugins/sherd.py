"""sherd_problems: what keeps a cluster from being whole, by the JSON of `sherd status --json`.

A list of texts, empty when nothing is amiss: every node that is expected is up, the metadata group has a leader, and
every shard has a leader and as many voters as there should be, each on a node that is up and reports it, none
further behind than writes in flight explain, and no replica is being made or moved.
"""
import json

LAG_MAX = 1000  # log entries; reports are a second old, and a busy shard takes some hundred in that time


def sherd_problems(status, expected, founders):
    """expected: the numbers of the nodes that are up; founders: how many formed the cluster."""
    status = json.loads(status)
    problems = []
    nodes = {n["node"]: n for n in status["nodes"]}
    for number in expected:
        state = nodes[number]["state"] if number in nodes else "not known to the cluster"
        if state != "up":
            problems.append(f"node {number} is {state}")
    if not status["metadata_leader"]:
        problems.append("the metadata group has no leader")
    holders = {s["shard"]: {n for n, d in nodes.items() for s2 in d["replicas"] if s2["shard"] == s["shard"]}
               for s in status["shards"]}
    voters_wanted = 3 if founders >= 3 else 1  # fixed when the cluster was formed
    for shard in status["shards"]:
        name = f"shard {shard['shard']}"
        voters = [r["node"] for r in shard["replicas"] if not r["learner"]]
        learners = [r["node"] for r in shard["replicas"] if r["learner"]]
        if not shard["leader"]:
            problems.append(f"{name} has no leader")
        if len(voters) < voters_wanted:
            problems.append(f"{name} has {len(voters)} of {voters_wanted} voters")
        if learners and shard["placement"] != "reference":
            problems.append(f"{name} is getting a replica on node {learners[0]}")
        if shard["lag"] > LAG_MAX:
            problems.append(f"{name} has a replica that is {shard['lag']} entries behind")
        for number in voters + learners:
            if number not in nodes or nodes[number]["state"] != "up":
                problems.append(f"{name} has a replica on node {number}, which is not up")
            elif number not in holders[shard["shard"]]:
                problems.append(f"{name}: node {number} does not report its replica")
    return problems


class FilterModule:
    def filters(self):
        return {"sherd_problems": sherd_problems}
