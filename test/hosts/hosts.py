#!/usr/bin/python3
"""Debian 12 hosts on this machine: systemd as process 1, sshd, an address of their own on a bridge.

    hosts.py up N [--dir DIR]        N hosts; the first time a base system is made (a minute), which later ups share
    hosts.py add | off I | on I      one more; host I loses its power; host I gets it back, with its disk
    hosts.py cut I | heal I          nftables rules in host I's namespace drop what it sends to other hosts
    hosts.py ssh I [COMMAND ...]     a shell on it
    hosts.py inventory               an inventory for ansible/
    hosts.py down [--purge]          ends all and takes namespaces, bridge, mounts and rules away; --purge: base too

Needs root and the packages systemd-container, debootstrap, openssh-client, iproute2, nftables
(scripts/install-packages.sh --hosts).

How. A host is a systemd-nspawn container in a network namespace of ours (so that rules can be set from outside) and a
cgroup of ours: the machine's own process 1 need not be systemd, and its cgroup hierarchies may be of either version,
as long as one of version 2 is mounted somewhere. Its disk is an overlay over the base system, kept in DIR/hI until
down. Addresses are NET.10+I; NET.1 is this machine, which translates addresses so that hosts reach the package mirror
that this machine uses.

Everything is named by the bridge, `sherdN`; NET is 10.213.N. Processes end by pid: killing a host's process 1 takes
all of the host with it.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

USER = "admin"
SUITE = "bookworm"
# What a provider's image of Debian 12 has; the playbooks install the rest.
PACKAGES = ("systemd-sysv", "dbus", "openssh-server", "python3", "iproute2", "sudo", "procps", "ca-certificates")
BOOT_SECONDS = 60


def run(*command, check=True, text_in=None, **kw):
    r = subprocess.run(command, capture_output=True, text=True, errors="replace", input=text_in, **kw)
    if check and r.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {r.returncode}\n{r.stdout}{r.stderr}")
    return r.stdout


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    if not path.startswith("/proc/"):
        os.chmod(path, mode)


def cgroup_mounts():
    """Where the hierarchies are mounted that systemd needs: version 2, and its own named one of version 1."""
    with open("/proc/mounts") as f:
        lines = [line.split() for line in f]
    found = [m[1] for m in lines if m[2] == "cgroup2" or (m[2] == "cgroup" and "name=systemd" in m[3].split(","))]
    if not any(m[2] == "cgroup2" for m in lines):
        raise RuntimeError("no cgroup2 hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")
    return found


# ---- the base system ----

def mirror_of_this_machine():
    """(address, the sources' lines) of the Debian archives that apt uses here."""
    lines = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN)",
                "Created-By: Packages").splitlines()
    debian = sorted({tuple(line.split()[:3]) for line in lines if line.split()[3:4] == ["Debian"]})
    primary = [site for site, release, _ in debian if release == SUITE]
    if not primary:
        raise RuntimeError(f"apt knows no archive of {SUITE} here: run apt-get update, and see /etc/apt")
    return primary[0], "".join(f"deb {' '.join(s)}\n" for s in debian)


def make_base(path):
    """A Debian 12 with sshd that lets USER in by key and run anything by sudo."""
    site, sources = mirror_of_this_machine()
    draft = path + ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    print(f"making the base system in {path}", flush=True)
    run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, draft, site)
    write(f"{draft}/etc/apt/sources.list", sources)
    acquire = [line for line in run("apt-config", "dump").splitlines() if line.startswith("Acquire::") and "::" in line]
    write(f"{draft}/etc/apt/apt.conf.d/50machine", "\n".join(acquire) + "\n")
    write(f"{draft}/etc/apt/apt.conf.d/90hosts", 'APT::Install-Recommends "false";\n')
    shutil.copy("/etc/resolv.conf", f"{draft}/etc/resolv.conf")
    run("chroot", draft, "useradd", "--create-home", "--shell", "/bin/bash", USER)
    write(f"{draft}/etc/sudoers.d/{USER}", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    write(f"{draft}/etc/ssh/sshd_config.d/hosts.conf", "PasswordAuthentication no\nUseDNS no\n")
    # What a host does for itself each day would disturb what is measured and tested here.
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        with contextlib.suppress(FileExistsError):
            os.symlink("/dev/null", f"{draft}/etc/systemd/system/{timer}")
    write(f"{draft}/etc/machine-id", "")
    run("chroot", draft, "apt-get", "clean")
    os.rename(draft, path)


# ---- hosts ----

class Host:
    def __init__(self, hosts, number):
        self.hosts, self.number = hosts, number
        self.name = f"h{number}"
        self.address = f"{hosts.net}.{10 + number}"
        self.namespace = f"{hosts.bridge}-{self.name}"
        self.dir = os.path.join(hosts.dir, self.name)
        self.root = os.path.join(self.dir, "root")

    # -- its disk and its network, which outlive its power --

    def make(self):
        for name in ("disk", "work", "root"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        run("mount", "-t", "overlay", self.namespace, "-o",
            f"lowerdir={self.hosts.base},upperdir={self.dir}/disk,workdir={self.dir}/work", self.root)
        write(f"{self.root}/etc/hostname", self.name + "\n")
        write(f"{self.root}/etc/hosts", f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        home = f"{self.root}/home/{USER}/.ssh"
        os.makedirs(home, mode=0o700, exist_ok=True)
        shutil.copy(self.hosts.key + ".pub", f"{home}/authorized_keys")
        run("chroot", self.root, "chown", "-R", f"{USER}:{USER}", f"/home/{USER}/.ssh")
        outer = f"{self.hosts.bridge}v{self.number}"
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "link", "set", outer, "master", self.hosts.bridge, "up")
        for command in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up",
                        f"route add default via {self.hosts.net}.1"):
            run("ip", "-n", self.namespace, *command.split())

    def unmake(self):
        # The pair of interfaces first: a namespace's own go some time after it.
        run("ip", "link", "del", f"{self.hosts.bridge}v{self.number}", check=False)
        run("ip", "netns", "del", self.namespace, check=False)
        if os.path.ismount(self.root):
            run("umount", self.root)
        for mount in cgroup_mounts():
            top = self.cgroup(mount)
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        shutil.rmtree(self.dir)

    def cgroup(self, mount):
        return os.path.join(mount, self.hosts.bridge, self.name)

    # -- its power --

    def on(self):
        """Boots; wait_up() tells when it is there."""
        if self.pids():
            return
        groups = [self.cgroup(m) for m in cgroup_mounts()]
        for group in groups:
            os.makedirs(group, exist_ok=True)

        def enter():
            for group in groups:
                with open(os.path.join(group, "cgroup.procs"), "w") as f:
                    f.write(str(os.getpid()))

        with open(os.path.join(self.dir, "console"), "ab") as console:
            p = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", f"--directory={self.root}",
                 f"--machine={self.namespace}", f"--network-namespace-path=/run/netns/{self.namespace}",
                 "--capability=CAP_NET_ADMIN", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=enter, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        write(os.path.join(self.dir, "pid"), f"{p.pid}\n")
        self.hosts.children[self.name] = p

    def pids(self):
        """(the container's supervisor, its process 1), or None when it has no power."""
        try:
            with open(os.path.join(self.dir, "pid")) as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/cmdline") as f:
                if f"--machine={self.namespace}\0" not in f.read():
                    return None
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                children = [int(c) for c in f.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            return None
        for child in children:
            with contextlib.suppress(OSError):
                with open(f"/proc/{child}/status") as f:
                    if re.search(r"^NSpid:\t\d+\t1$", f.read(), re.M):
                        return pid, child
        return pid, 0

    def off(self):
        """The power is cut: process 1 and with it all others are killed at once."""
        have = self.pids()
        if have is None:
            return
        supervisor, first = have
        fd = os.pidfd_open(supervisor)
        try:
            os.kill(first or supervisor, signal.SIGKILL)
            self.await_end(fd)
        finally:
            os.close(fd)
        child = self.hosts.children.pop(self.name, None)
        if child is not None:
            child.wait()
        os.unlink(os.path.join(self.dir, "pid"))

    @staticmethod
    def await_end(fd):
        import select
        ended, _, _ = select.select([fd], [], [], 30)
        if not ended:
            raise RuntimeError("the container has not ended within 30 s")

    def wait_up(self):
        """sshd answers and systemd has started everything."""
        end = time.monotonic() + BOOT_SECONDS
        while True:
            try:
                with socket.create_connection((self.address, 22), timeout=1) as s:
                    if s.recv(4) == b"SSH-":
                        break
            except OSError:
                pass
            if time.monotonic() > end or not self.pids():
                with open(os.path.join(self.dir, "console"), errors="replace") as f:
                    raise RuntimeError(f"{self.name} has not booted:\n{f.read()[-3000:]}")
            time.sleep(0.05)
        state = self.ssh("systemctl is-system-running --wait", check=False).strip()
        if state != "running":
            raise RuntimeError(f"{self.name} is {state}:\n" + self.ssh("systemctl --failed --no-legend", check=False))

    # -- its network --

    def rules(self, text):
        run("ip", "netns", "exec", self.namespace, "nft", "-f", "-", text_in=text)

    def cut(self, others):
        """From now on nothing goes to or comes from these addresses."""
        self.rules("table inet cut\ndelete table inet cut\ntable inet cut {\n"
                   f"  set others {{ type ipv4_addr; elements = {{ {', '.join(others)} }} }}\n"
                   "  chain in { type filter hook input priority -300; ip saddr @others drop; }\n"
                   "  chain out { type filter hook output priority -300; ip daddr @others drop; }\n}\n")

    def heal(self):
        self.rules("table inet cut\ndelete table inet cut\n")

    # -- what runs on it --

    def ssh_command(self):
        return ["ssh", *self.hosts.ssh_options(), f"{USER}@{self.address}"]

    def ssh(self, command, check=True, **kw):
        return run(*self.ssh_command(), command, check=check, **kw)


class Hosts:
    def __init__(self, directory, net=None):
        self.dir = os.path.abspath(directory)
        self.base = os.path.join(self.dir, "base")
        self.key = os.path.join(self.dir, "key")
        self.children = {}
        self.hosts = {}
        self.bridge = self.net = None
        if os.path.exists(self.state_path()):
            with open(self.state_path()) as f:
                state = json.load(f)
            self.bridge, self.net = state["bridge"], state["net"]
            self.was_forwarding = state["was_forwarding"]
            self.hosts = {n: Host(self, n) for n in state["hosts"]}

    def state_path(self):
        return os.path.join(self.dir, "state.json")

    def save(self):
        write(self.state_path(), json.dumps({"bridge": self.bridge, "net": self.net, "hosts": list(self.hosts),
                                             "was_forwarding": self.was_forwarding}))

    def __getitem__(self, number):
        return self.hosts[number]

    def ssh_options(self):
        return ["-i", self.key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", "-o",
                "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10"]

    def up(self, count):
        if self.bridge is not None:
            raise RuntimeError(f"hosts of {self.dir} are up already (or were not taken down): hosts.py down")
        os.makedirs(self.dir, exist_ok=True)
        if not os.path.exists(self.key):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        if not os.path.exists(self.base):
            make_base(self.base)
        taken = run("ip", "-o", "addr")
        free = [i for i in range(100) if f"sherd{i}:" not in run("ip", "-o", "link") and f" 10.213.{i}." not in taken]
        self.bridge, self.net = f"sherd{free[0]}", f"10.213.{free[0]}"
        with open("/proc/sys/net/ipv4/ip_forward") as f:
            self.was_forwarding = f.read().strip()
        self.save()
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.net}.1/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        write("/proc/sys/net/ipv4/ip_forward", "1")
        run("nft", "-f", "-", text_in=(
            f"table ip {self.bridge} {{\n"
            f"  chain post {{ type nat hook postrouting priority 100; ip saddr {self.net}.0/24 oifname != \"{self.bridge}\""
            " masquerade; }\n}\n"))
        new = [self.make_host() for _ in range(count)]
        for h in new:
            h.wait_up()

    def make_host(self):
        number = len(self.hosts) + 1
        self.hosts[number] = Host(self, number)
        self.save()
        self.hosts[number].make()
        self.hosts[number].on()
        return self.hosts[number]

    def add(self):
        h = self.make_host()
        h.wait_up()
        return h

    def cut(self, number):
        self[number].cut([h.address for h in self.hosts.values() if h.number != number])

    def down(self):
        if self.bridge is None:
            return
        for h in self.hosts.values():
            if os.path.exists(h.dir):
                h.off()
                h.unmake()
        run("ip", "link", "del", self.bridge, check=False)
        run("nft", "delete", "table", "ip", self.bridge, check=False)
        if self.was_forwarding == "0" and not re.search(r"^\d+: sherd\d+:", run("ip", "-o", "link"), re.M):
            write("/proc/sys/net/ipv4/ip_forward", "0")
        for mount in cgroup_mounts():
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(mount, self.bridge))
        os.unlink(self.state_path())
        self.bridge, self.hosts = None, {}

    def inventory(self, joining=(), variables=None):
        """Of all hosts, or those that are not `joining` and these, which join; for ansible/."""
        options = " ".join(o for o in self.ssh_options() if o not in ("-i", self.key))
        return {"sherd": {
            "hosts": {h.name: {"ansible_host": h.address, "sherd_node": h.number, "sherd_joins": h.number in joining,
                               "sherd_locality": f"region=test,zone={'abc'[h.number % 3]}"} for h in self.hosts.values()},
            "vars": {"ansible_user": USER, "ansible_become": True, "ansible_ssh_private_key_file": self.key,
                     "ansible_ssh_common_args": options, "sherd_cluster": "hosts",
                     "sherd_admin_networks": [f"{self.net}.1"], **(variables or {})}}}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=("up", "add", "off", "on", "cut", "heal", "ssh", "inventory", "status", "down"))
    p.add_argument("arguments", nargs=argparse.REMAINDER)
    p.add_argument("--dir", default=os.environ.get("SHERD_HOSTS_DIR", "build/hosts"))
    a = p.parse_args()
    arguments = list(a.arguments)
    if "--dir" in arguments and a.command != "ssh":
        at = arguments.index("--dir")
        a.dir = arguments[at + 1]
        del arguments[at:at + 2]
    if os.getuid() != 0:
        sys.exit("hosts.py: needs root")
    hosts = Hosts(a.dir)
    if a.command == "up":
        hosts.up(int(arguments[0]) if arguments else 3)
    elif a.command == "add":
        hosts.add()
    elif a.command == "inventory":
        print(json.dumps(hosts.inventory(), indent=2))
    elif a.command == "down":
        hosts.down()
        if "--purge" in arguments:
            shutil.rmtree(hosts.dir)
    elif a.command == "ssh":
        h = hosts[int(arguments[0])]
        os.execvp("ssh", [*h.ssh_command(), *arguments[1:]])
    elif a.command != "status":
        number = int(arguments[0])
        if a.command == "cut":
            hosts.cut(number)
        else:
            getattr(hosts[number], a.command)()
            if a.command == "on":
                hosts[number].wait_up()
    if a.command in ("up", "add", "status"):
        for h in hosts.hosts.values():
            print(f"{h.name}  {h.address}  {'on' if h.pids() else 'off'}")


if __name__ == "__main__":
    main()
