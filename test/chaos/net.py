"""A network of namespaces on this machine, and its faults.

A hub namespace with a bridge holds the clients; each node has a namespace of its own. Addresses are 127.77.0.0/24 with
route_localnet, in place of the usual 127.0.0.0/8 on lo: servers without passwords listen on loopback addresses only,
and these are, yet they are routed between the namespaces. Nothing of the machine's own network is touched, so several
runs may stand side by side; names carry the pid.

Faults are nftables rules in the namespace of the node that suffers: input drop and output drop by peer address, so a
link can be cut one way. (tc netem is not in every kernel; drops and bandwidth limits are.)
"""
import ctypes
import os
import subprocess

CLIENT = "127.77.0.1"
CLONE_NEWNET = 0x40000000


def sh(*args, check=True):
    r = subprocess.run(args, capture_output=True, text=True, check=False)
    if check and r.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {r.stderr.strip() or r.returncode}")
    return r.stdout


def address(node):
    return f"127.77.0.{node + 1}"


class Network:
    def __init__(self, nodes):
        self.tag = f"shc{os.getpid()}"
        self.nodes = nodes
        self.spaces = []
        self.cuts = {}  # node -> set of (direction, peer address)

    def name(self, node):
        return f"{self.tag}n{node}"

    def _in(self, node, *args, check=True):
        return sh("ip", "netns", "exec", self.name(node), *args, check=check)

    def _addresses(self, node, device):
        self._in(node, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1",
                 f"net.ipv4.conf.{device}.route_localnet=1")
        self._in(node, "ip", "link", "set", "lo", "up")
        self._in(node, "ip", "link", "set", device, "up")
        self._in(node, "ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
        self._in(node, "ip", "addr", "add", f"{address(node)}/24", "dev", device)

    def up(self):
        """Node 0 is the hub. Moves this process there: its sockets, and those of threads made later, are the hub's."""
        for node in range(self.nodes + 1):
            sh("ip", "netns", "add", self.name(node))
            self.spaces.append(self.name(node))
        self._in(0, "ip", "link", "add", "br0", "type", "bridge")
        self._addresses(0, "br0")
        for node in range(1, self.nodes + 1):
            self._in(0, "ip", "link", "add", f"v{node}", "type", "veth", "peer", "name", "eth0", "netns",
                     self.name(node))
            self._in(0, "ip", "link", "set", f"v{node}", "master", "br0", "up")
            self._addresses(node, "eth0")
            self._in(node, "nft", "add table inet chaos; add chain inet chaos in { type filter hook input priority 0; }; "
                     "add chain inet chaos out { type filter hook output priority 0; }")
        with open(f"/run/netns/{self.name(0)}", "rb") as f:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(f.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def down(self):
        for name in self.spaces:
            sh("ip", "netns", "del", name, check=False)
        self.spaces = []

    def prefix(self, node):
        return ["ip", "netns", "exec", self.name(node)]

    # ---- faults ----

    def _apply(self, node):
        rules = "flush table inet chaos; "
        for direction, peer, verdict in sorted(self.cuts.get(node, ())):
            field = "saddr" if direction == "in" else "daddr"
            rules += f"add rule inet chaos {direction} ip {field} {peer} {verdict}; "
        self._in(node, "nft", rules)

    def cut(self, node, peer, direction, verdict="drop"):
        """What node receives from (in) or sends to (out) the peer is lost. peer: a node, 0 = the clients."""
        self.cuts.setdefault(node, set()).add((direction, address(peer), verdict))
        self._apply(node)

    def mend(self, node, peer):
        self.cuts[node] = {c for c in self.cuts.get(node, ()) if c[1] != address(peer)}
        self._apply(node)

    def cut_both(self, a, b):
        self.cut(a, b, "in")
        self.cut(b, a, "in")

    def isolate(self, node, others):
        for o in others:
            if o != node:
                self.cut_both(node, o)

    def heal(self):
        for node in list(self.cuts):
            self.cuts[node] = set()
            self._apply(node)
        self.cuts = {}

    def limit(self, node, rate):
        """What reaches the node passes a bucket of this rate ("1mbit"); None lifts it."""
        self._in(0, "tc", "qdisc", "del", "dev", f"v{node}", "root", check=False)
        if rate is not None:
            self._in(0, "tc", "qdisc", "add", "dev", f"v{node}", "root", "tbf", "rate", rate, "burst", "16k", "limit",
                     "64k")
