#!/usr/bin/python3
"""Guards what neither the compiler nor clang-tidy sees. Run: check_tree.py ROOT [--libs FOLDER]

  depend    a folder includes only what the table below allows, and of others only include/
  tests     every test file is named in some CMakeLists.txt or .cmake file of test/
  readme    every source folder has a README.md
  size      no source file is longer than 1,200 lines
  marks     no leftover marks of unfinished work, no paths of one person's machine
  symbols   no two of the static libraries libsherd_*.a below --libs define the same global symbol

Each finding is one line, "path:line: what". The exit status is 1 when there is any.
--self-test plants one fault of each kind in a copy and checks that it is found.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

# The layers, lowest first: a folder may include its own headers and those of the folders named here.
MAY_INCLUDE = {
    "base": set(),
    "api": {"base"},
    "sql": {"base"},
    "replication": {"base", "api"},
    "metadata": {"base", "api", "sql", "replication"},
    "shard": {"base", "api", "sql", "replication", "metadata"},
    "router": {"base", "api", "sql", "metadata"},
    "server": {"base", "api", "sql", "replication", "metadata", "shard", "router"},
    "client": {"base", "api"},
}
GENERATED = {"sherd/v1": "api", "grpc": "api"}
# Folders whose README tells of the folders below them too.
README = list(MAY_INCLUDE) + ["ansible", "config", "docs", "scripts", "router/frontend"] + ["test/" + name for name in (
    "bench", "chaos", "clients", "fuzz", "hosts", "integration", "isolation", "lib", "model", "sim", "sql", "tidy", "unit")]
LINES_MAX = 1200
# Text that is not ours to cut, or tables of rows.
LONG_IS_FINE = {"test/data/music.sql"}
SOURCE = (".c", ".h", ".py", ".sh", ".cmake", ".proto", ".txt", ".md", ".yaml", ".yml")
# Written so that this file does not find itself.
MARKS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
PATHS = re.compile(r"(?<![\w.])/(home/\w+|Users/\w+|ro" + r"ot/|wo" + r"rk/)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

findings = []


def find(path, line, what):
    findings.append(f"{path}:{line}: {what}")


def files(root):
    """Every file of the project, by path below root."""
    for folder, names, plain in os.walk(root):
        names[:] = sorted(n for n in names if n not in (".git", "build", ".cache", "corpus", "__pycache__"))
        for name in sorted(plain):
            yield os.path.relpath(os.path.join(folder, name), root)


def lines_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        return f.read().splitlines()


def check_depend(root, path, lines):
    top = path.split("/")[0]
    if top not in MAY_INCLUDE or not path.endswith((".c", ".h")):
        return
    for number, line in enumerate(lines, 1):
        m = INCLUDE.match(line)
        if m is None:
            continue
        name = m.group(2)
        if ".." in name.split("/"):
            if os.path.normpath(os.path.join(os.path.dirname(path), name)).split("/")[0] != top:
                find(path, number, f"includes {name}: a path out of its folder")
            continue
        parts = name.split("/")
        if len(parts) < 2:
            continue
        other = parts[0]
        for prefix, owner in GENERATED.items():
            if name.startswith(prefix + "/"):
                other = owner
        if other == "grpc" or other == top or other not in MAY_INCLUDE:
            continue
        if other not in MAY_INCLUDE[top]:
            find(path, number, f"includes {name}: {top}/ may not use {other}/")
        elif other == parts[0] and not os.path.exists(os.path.join(root, other, "include", name)):
            find(path, number, f"includes {name}: not a public header of {other}/")


def check_link(root, path, lines):
    """The same table for the link graph."""
    top = path.split("/")[0]
    if top not in MAY_INCLUDE or not path.endswith(("CMakeLists.txt", ".cmake")):
        return
    for number, line in enumerate(lines, 1):
        for other in re.findall(r"\bsherd(?:::|_)(\w+)", line.split("#")[0]):
            if other in MAY_INCLUDE and other != top and other not in MAY_INCLUDE[top]:
                find(path, number, f"links {other}: {top}/ may not use {other}/")


def check_tests(root, paths):
    lists = ""
    for path in paths:
        if path.startswith("test/") and path.endswith(("CMakeLists.txt", ".cmake")):
            lists += "\n".join(line.split("#")[0] for line in lines_of(root, path)) + "\n"
    words = set(re.findall(r"[\w$\{\}]+", lists))
    for path in paths:
        name = os.path.basename(path)
        if not path.startswith("test/") or not re.fullmatch(r"test_\w+\.(c|py)", name):
            continue
        stem, kind = name.rsplit(".", 1)
        if re.search(rf"(?<!\w){re.escape(name)}", lists):
            continue
        # sherd_integration(test_x 300), and foreach(subject x y) ... test_${subject}.c
        if kind == "py" and re.search(rf"\(\s*{stem}\b", lists):
            continue
        if stem[len("test_"):] in words and re.search(r"test_\$\{\w+\}\." + kind, lists):
            continue
        find(path, 1, "a test that no CMakeLists.txt names")


def check_text(path, lines):
    if path.endswith(SOURCE):
        for number, line in enumerate(lines, 1):
            m = MARKS.search(line)
            if m is not None:
                find(path, number, f"leftover mark {m.group(1)}")
            m = PATHS.search(line)
            if m is not None:
                find(path, number, f"path of one machine: {m.group(0)}")
    if path.endswith((".c", ".h", ".py", ".sh")) and len(lines) > LINES_MAX and path not in LONG_IS_FINE:
        find(path, LINES_MAX, f"{len(lines)} lines; at most {LINES_MAX}: look for the second subject")


def check_readme(root):
    for folder in README:
        if os.path.isdir(os.path.join(root, folder)) and not os.path.exists(os.path.join(root, folder, "README.md")):
            find(folder, 1, "no README.md")


def check_symbols(libs):
    owner = {}
    archives = []
    for folder, _, names in os.walk(libs):
        archives += [os.path.join(folder, n) for n in names if n.startswith("libsherd_") and n.endswith(".a")]
    for archive in sorted(archives):
        out = subprocess.run(["nm", "--defined-only", "--extern-only", "--no-sort", archive], check=True,
                             capture_output=True, text=True).stdout
        for line in out.splitlines():
            parts = line.split()
            if len(parts) != 3 or parts[1] not in "TDBRG" or parts[2].startswith("__"):
                continue
            first = owner.setdefault(parts[2], archive)
            if first != archive:
                find(os.path.basename(archive), 1, f"{parts[2]} is defined in {os.path.basename(first)} too")
    return len(archives)


def check(root, libs):
    findings.clear()
    paths = list(files(root))
    for path in paths:
        if not path.endswith(SOURCE):
            continue
        lines = lines_of(root, path)
        check_depend(root, path, lines)
        check_link(root, path, lines)
        check_text(path, lines)
    check_tests(root, paths)
    check_readme(root)
    if libs is not None:
        check_symbols(libs)
    return list(findings)


def self_test(root):
    """Each check finds the fault that it is for."""
    planted = [
        ("sql/planted.c", '#include "shard/server.h"\n', "sql/ may not use shard/"),
        ("router/planted.c", '#include "shard/server.h"\n', "router/ may not use shard/"),
        ("base/planted.c", '#include "../api/rpc_wire.h"\n', "a path out of its folder"),
        ("metadata/planted.c", '#include "sql/value.h"\n', "not a public header of sql/"),
        ("metadata/planted.cmake", "target_link_libraries(x sherd::router)\n", "metadata/ may not use router/"),
        ("test/unit/base/test_planted_forgotten.c", "int x;\n", "a test that no CMakeLists.txt names"),
        ("base/planted_mark.c", "/* TO" + "DO later */\n", "leftover mark"),
        ("docs/planted.md", "see /ho" + "me/somebody/x\n", "path of one machine"),
        ("base/planted_long.c", "\n" * (LINES_MAX + 1), "look for the second subject"),
        ("base/README.md", None, "no README.md"),
    ]
    clean = set(check(root, None))
    failed = 0
    with tempfile.TemporaryDirectory() as copy:
        for path in files(root):
            if path.endswith(SOURCE):
                os.makedirs(os.path.dirname(os.path.join(copy, path)), exist_ok=True)
                shutil.copyfile(os.path.join(root, path), os.path.join(copy, path))
        for path, text, expected in planted:
            full = os.path.join(copy, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            before = open(full, encoding="utf-8").read() if os.path.exists(full) else None
            if text is None:
                os.unlink(full)
            else:
                with open(full, "w", encoding="utf-8") as f:
                    f.write(text)
            fresh = [f for f in check(copy, None) if f not in clean]
            if not any(expected in f for f in fresh):
                print(f"the fault planted in {path} was not found ({expected})")
                failed += 1
            if before is not None:
                with open(full, "w", encoding="utf-8") as f:
                    f.write(before)
            else:
                os.unlink(full)
        source = os.path.join(copy, "x.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write("int planted_symbol(void);\nint planted_symbol(void) { return 1; }\n")
        subprocess.run(["cc", "-c", source, "-o", source + ".o"], check=True)
        for name in ("libsherd_one.a", "libsherd_two.a"):
            subprocess.run(["ar", "rc", os.path.join(copy, name), source + ".o"], check=True)
        findings.clear()
        if check_symbols(copy) != 2 or len(findings) != 1:
            print("the symbol defined twice was not found")
            failed += 1
    print(f"{len(planted) + 1} planted faults, {failed} not found")
    return failed


def main():
    args = sys.argv[1:]
    if "--self-test" in args:
        args.remove("--self-test")
        return 1 if self_test(args[0]) else 0
    if not args:
        print(__doc__)
        return 2
    libs = args[args.index("--libs") + 1] if "--libs" in args else None
    found = check(args[0], libs)
    for f in found:
        print(f)
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
