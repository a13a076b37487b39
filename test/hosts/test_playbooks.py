#!/usr/bin/python3
"""What of ansible/ can be judged without hosts: the playbooks are well formed; the templates give configurations that
sherdd takes, a unit that systemd takes and rules that nft takes; the list of packages is what the binaries load; and what
"the cluster is whole" means (filter_plugins/sherd.py). run.py beside it does the rest on hosts.

Skipped (77) where ansible is not installed.
"""
import copy
import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "test/integration"))
from cluster import BIN, Cluster  # noqa: E402
from server import SHERDD, expect, expect_text, run_cases  # noqa: E402

ANSIBLE = os.path.join(ROOT, "ansible")
ROLE = os.path.join(ANSIBLE, "roles/sherd")

# Renders what the role would write, into a folder here: the role lends its variables, its tasks are left out.
RENDER = """
- hosts: all
  connection: local
  gather_facts: false
  roles: [{{role: sherd, when: false}}]
  tasks:
    - ansible.builtin.template:
        src: {role}/templates/{{{{ item }}}}.j2
        dest: {out}/{{{{ inventory_hostname }}}}/{{{{ item }}}}
        mode: "0640"
      loop: "{{{{ renders | default(['sherd.yaml', 'logger.yaml']) }}}}"
"""


def ansible(*arguments, cwd=ANSIBLE):
    # Its own folders for what it remembers: tests leave nothing in the user's home.
    with tempfile.TemporaryDirectory(prefix="sherd-test-") as home:
        return subprocess.run(["ansible-playbook", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, env={**os.environ, "HOME": home, "ANSIBLE_LOCAL_TEMP": home, "ANSIBLE_PIPELINING": "1",
                                                             "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"})


def playbooks_are_well_formed():
    books = sorted(set(glob.glob(f"{ANSIBLE}/*.yaml")) - set(glob.glob(f"{ANSIBLE}/inventory*.yaml")))
    expect(len(books) >= 6, str(books))
    r = ansible("-i", f"{ANSIBLE}/inventory.example.yaml", "-e", "node=db1", "--syntax-check", *books)
    expect(r.returncode == 0, r.stdout + r.stderr)
    expect("warn" not in r.stderr.lower(), r.stderr)


class Rendered:
    """What the role writes for a cluster of four nodes, the last of which joins, and for single ones with other settings."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="sherd-test-")
        whole = {f"db{i}": {"sherd_node": i, "ansible_host": f"10.0.0.{10 + i}", "sherd_joins": i == 4} for i in range(1, 5)}
        whole["db1"].update(sherd_settings={"storage": {"cache_mb": 64, "gc_ttl": "2h"}, "raft": {"election_ms": 1000},
                                            "sql": {"connections_max": 10}},
                            sherd_logger={"level": "warn", "components": {"raft": "debug"}},
                            sherd_locality="region=eu,zone=a",
                            renders=["sherd.yaml", "logger.yaml", "firewall.nft", "nftables.service", "sherd.service"])
        others = {"bad_key": {"sherd_settings": {"storage": {"cash_mb": 64}}}, "bad_level": {"sherd_logger": {"level": "loud"}},
                  "closed": {"sherd_sql_networks": [], "sherd_admin_networks": [], "renders": ["firewall.nft"]},
                  "overlaps": {"sherd_sql_networks": ["0.0.0.0/0", "10.0.5.0/24"], "renders": ["firewall.nft"],
                               "sherd_admin_networks": ["10.0.0.0/8", "10.0.0.11"]}}
        inventory = {"sherd": {"hosts": whole, "vars": {"sherd_cluster": "a \"name\": with #"}}}
        for name, variables in others.items():
            inventory[name] = {"hosts": {f"{name}_host": {"sherd_node": 1, "ansible_host": "10.0.0.11", "sherd_group": name, **variables}}}
        for group in inventory.values():
            for host, variables in group["hosts"].items():
                os.mkdir(f"{self.dir}/{host}")
                self.write(f"{host}/password", "secret\n", 0o640)
                variables.update(sherd_config_dir=f"{self.dir}/{host}", sherd_bin_dir=os.path.abspath(BIN),
                                 sherd_data_dir=f"{self.dir}/data", sherd_log_dir=f"{self.dir}/log")
        self.write("inventory.json", json.dumps(inventory))
        self.write("render.yaml", RENDER.format(role=ROLE, out=self.dir))
        r = ansible("-i", f"{self.dir}/inventory.json", f"{self.dir}/render.yaml")
        expect(r.returncode == 0, r.stdout + r.stderr)

    def write(self, name, text, mode=0o644):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)
        os.chmod(os.path.join(self.dir, name), mode)

    def read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def check_config(self, host):
        r = subprocess.run([SHERDD, "--check-config", f"{self.dir}/{host}/sherd.yaml"], capture_output=True, text=True, timeout=30)
        return r.returncode, r.stdout + r.stderr


RENDERED = None


def templates_are_rendered():
    global RENDERED
    RENDERED = Rendered()


def configurations_are_taken():
    r = RENDERED
    for host in ("db1", "db2", "db3", "db4"):
        expect(r.check_config(host) == (0, ""), str(r.check_config(host)))
    expect_text(r.read("db1/sherd.yaml"), "cache_mb: 64", "gc_ttl: 2h", "connections_max: 10", "auth: scram", "data_dir:",
                "locality: region=eu,zone=a")
    founders = re.findall(r"host: (10\.0\.0\.\d+)\n +grpc_port", r.read("db2/sherd.yaml"))
    expect(founders == ["10.0.0.11", "10.0.0.12", "10.0.0.13"], str(founders))
    expect_text(r.read("db4/sherd.yaml"), "join: 10.0.0.11:7433")
    expect("initial" not in r.read("db4/sherd.yaml"), "the node that joins forms a cluster")


def bad_settings_are_found():
    for host, word in (("bad_key_host", "cash_mb"), ("bad_level_host", "loud")):
        code, said = RENDERED.check_config(host)
        expect(code == 1 and word in said, said)


def the_unit_is_sound():
    if shutil.which("systemd-analyze") is None:
        return "no systemd-analyze here"
    path = f"{RENDERED.dir}/sherd.service"
    unit = RENDERED.read("db1/sherd.service")
    RENDERED.write("sherd.service", unit)
    expect(verify(path) == "", verify(path))
    RENDERED.write("sherd.service", unit.replace("LimitNOFILE=", "LimitNoFiles="))
    expect("LimitNoFiles" in verify(path), "a wrong key is not noticed")
    return None


def verify(path):
    """What systemd says of the unit itself (units of this machine may have their own troubles)."""
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, timeout=60)
    return "".join(line + "\n" for line in (r.stdout + r.stderr).splitlines() if "sherd.service" in line)


def nft(*command):
    return subprocess.run(["unshare", "--net", *command], capture_output=True, text=True, timeout=30)


def the_rules_are_sound():
    if nft("/usr/sbin/nft", "list", "ruleset").returncode != 0:
        return "no nft in a network namespace of its own here"
    for host in ("db1", "closed_host", "overlaps_host"):
        rules = f"{RENDERED.dir}/{host}/firewall.nft"
        done = nft("sh", "-c", f"/usr/sbin/nft -f {rules} && /usr/sbin/nft -f {rules} && /usr/sbin/nft list ruleset")
        expect(done.returncode == 0, done.stderr)
        expect(done.stdout.count("table ") == 1 and "counter packets 0 bytes 0 drop" in done.stdout, done.stdout)
        expect("10.0.0.11" in done.stdout and (host != "db1" or "10.0.0.14" in done.stdout), done.stdout)
    return None


def loaded_packages(folder):
    """The Debian packages of the libraries that the binaries name, without those of sanitizers."""
    packages = set()
    for name in ("sherdd", "sherd"):
        path = os.path.join(os.path.abspath(folder), name)
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", subprocess.run(["readelf", "-d", path], capture_output=True,
                                                                       text=True, check=True).stdout))
        ldd = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for soname, file in re.findall(r"(\S+) => (\S+)", ldd):
            if soname in needed and not re.match(r"lib(asan|ubsan|tsan)\.", soname):
                packages.add(package_of(file))
    return packages


def package_of(file):
    for path in (file, os.path.realpath(file), re.sub("^/usr", "", os.path.realpath(file))):
        r = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True)
        if r.returncode == 0:
            return r.stdout.split(":")[0]
    raise RuntimeError(f"no package has {file}")


def packages_are_those_of_the_libraries():
    with open(f"{ROLE}/vars/main.yaml") as f:
        listed = set(re.findall(r"^  - (\S+)$", f.read(), re.M))
    release = os.path.join(ROOT, "build/release/bin")  # other builds name libraries that they do not need
    loaded = loaded_packages(release if os.path.exists(f"{release}/sherdd") else BIN)
    expect(listed <= loaded, f"in vain: {sorted(listed - loaded)}")
    if not os.path.exists(f"{release}/sherdd"):
        return "no release build here: only what is listed in vain was looked for"
    expect(listed == loaded, f"missing: {sorted(loaded - listed)}")
    return f"{len(listed)} packages"


def load_filter():
    spec = importlib.util.spec_from_file_location("sherd_filter", f"{ROLE}/filter_plugins/sherd.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sherd_problems


def what_is_amiss_is_told():
    problems = load_filter()
    with Cluster() as c:
        whole = json.loads(c.cli("status", "-p", str(c.sql_port(1) + 1), "--json").stdout)
    expect(problems(json.dumps(whole), [1, 2, 3], 3) == [], str(problems(json.dumps(whole), [1, 2, 3], 3)))

    def said(change, expected=(1, 2, 3)):
        status = copy.deepcopy(whole)
        change(status)
        return "; ".join(problems(json.dumps(status), list(expected), 3))

    def node(s, n):
        return next(x for x in s["nodes"] if x["node"] == n)

    expect_text(said(lambda s: node(s, 2).update(state="down")), "node 2 is down", "on node 2, which is not up")
    expect_text(said(lambda s: None, (1, 2, 3, 4)), "node 4 is not known")
    expect_text(said(lambda s: s.update(metadata_leader=0)), "metadata group has no leader")
    expect_text(said(lambda s: s["shards"][0].update(leader=0)), "has no leader")
    expect_text(said(lambda s: s["shards"][0].update(lag=5000)), "5000 entries behind")
    expect_text(said(lambda s: s["shards"][0]["replicas"].pop()), "2 of 3 voters")
    expect_text(said(lambda s: s["shards"][0]["replicas"][0].update(learner=True)), "is getting a replica")
    expect_text(said(lambda s: node(s, 3).update(replicas=[])), "node 3 does not report its replica")


def main():
    if shutil.which("ansible-playbook") is None:
        print("skipped: ansible-playbook is not installed (scripts/install-packages.sh --tests)")
        return 77
    try:
        return run_cases([(f.__name__.replace("_", " "), f) for f in (
            playbooks_are_well_formed, templates_are_rendered, configurations_are_taken, bad_settings_are_found,
            the_unit_is_sound, the_rules_are_sound, packages_are_those_of_the_libraries, what_is_amiss_is_told)])
    finally:
        if RENDERED is not None:
            shutil.rmtree(RENDERED.dir)


if __name__ == "__main__":
    sys.exit(main())
