"""Is a history of one register linearizable? (Wing and Gong's search, stepping through the events as Lowe does.)

Operations are dicts with f (read, write, cas), value, t0, t1, type. read: value is what was read. write: value is what
was written. cas: value is [expected, new, hit].
A configuration is (value of the register, operations already applied among those that are under way). The set of all
possible configurations is carried from event to event; when it is empty, there is no linearization.
"""


def _apply(op, state):
    """The register after the operation; None when it cannot have been there."""
    f, v = op["f"], op["value"]
    if f == "read":
        return (state[0],) if state[0] == v else None
    if f == "write":
        return (v,)
    expected, new, hit = v
    if op["type"] == "info":
        return (new,) if state[0] == expected else None
    if hit:
        return (new,) if state[0] == expected else None
    return (state[0],) if state[0] != expected else None


def check(ops, initial=None):
    """None when linearizable, else a text that names the operation that cannot be placed."""
    # Values are unique: an unknown write that nobody saw may be placed at the end of time, so it says nothing, unless it
    # can be what a cas met that failed.
    seen = set()
    failed = max((o["t1"] for o in ops if o["type"] == "ok" and o["f"] == "cas" and not o["value"][2]), default=None)
    for o in ops:
        if o["type"] == "ok" and o["f"] == "read":
            seen.add(o["value"])
        elif o["type"] == "ok" and o["f"] == "cas" and o["value"][2]:
            seen.add(o["value"][0])
        elif o["type"] == "info" and o["f"] == "cas":
            seen.add(o["value"][0])
    used = []
    for o in ops:
        if o["type"] == "ok":
            used.append(o)
        elif o["type"] == "info" and o["f"] != "read":
            is_met = failed is not None and o["t0"] < failed
            if is_met or (o["value"] if o["f"] == "write" else o["value"][1]) in seen:
                used.append(o)
    events = []
    for i, o in enumerate(used):
        events.append((o["t0"], 1, i))
        if o["type"] == "ok":
            events.append((o["t1"], 0, i))
    events.sort(key=lambda e: (e[0], -e[1]))
    under_way = set()
    configurations = {((initial,), frozenset())}
    for _, is_begin, i in events:
        if is_begin:
            under_way.add(i)
            continue
        reached, todo = set(), list(configurations)
        visited = set(configurations)
        while todo:
            state, done = todo.pop()
            if i in done:
                reached.add((state, done - {i}))
                continue
            for j in under_way - done:
                after = _apply(used[j], state)
                if after is not None:
                    c = (after, done | {j})
                    if c not in visited:
                        visited.add(c)
                        todo.append(c)
        under_way.discard(i)
        if not reached:
            o = used[i]
            possible = sorted({str(s[0]) for s, _ in configurations})
            return (f"{o['f']} {o['value']} at node {o.get('node')} [{o['t0']:.6f}, {o['t1']:.6f}] has no place; "
                    f"the register could be {', '.join(possible)}")
        configurations = reached
    return None
