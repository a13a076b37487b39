#!/usr/bin/env bash
# clang-tidy and cppcheck over the product's C files, on the compile database of a release build.
#   scripts/lint.sh [file.c ...]     default: every .c below the source folders
# Prints the findings, then their number by kind. What is looked for: .clang-tidy, and cppcheck's errors,
# warnings and portability. Takes a core for half an hour.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${SHERD_LINT_BUILD:-}" ] || scripts/install-packages.sh --lint
build=${SHERD_LINT_BUILD:-build/release}
[ -f "$build/compile_commands.json" ] || cmake --preset release -B "$build" >/dev/null
cmake --build "$build" --target sherd_api_proto >/dev/null # generated headers
out=${SHERD_LINT_OUT:-$build}

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
    mapfile -t files < <(find base api sql replication metadata shard router server client -name '*.c' | sort)
fi
cppcheck_files=()
for f in "${files[@]}"; do
    # A file that no target compiles is no finding here: the compiler has never seen it.
    grep -q "/$f\"" "$build/compile_commands.json" && cppcheck_files+=("$f")
done

printf '%s\n' "${cppcheck_files[@]}" |
    xargs -P "${SHERD_LINT_JOBS:-1}" -n 4 clang-tidy -p "$build" --quiet >"$out/clang-tidy.txt" 2>/dev/null || true
grep -E '(warning|error):.*\[' "$out/clang-tidy.txt" | sort -u >"$out/clang-tidy.found" || true
cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
    --suppress='*:*/pb-c.h' --template='{file}:{line}: {severity}: {message} [{id}]' \
    -D_GNU_SOURCE -Ibase/include -Iapi/include -Isql/include -Ireplication/include -Imetadata/include \
    -Ishard/include -Irouter/include -Iclient/include "${cppcheck_files[@]}" 2>"$out/cppcheck.found" || true

cat "$out/clang-tidy.found" "$out/cppcheck.found"
echo "---- clang-tidy, ${#cppcheck_files[@]} files"
sed -E 's/.*\[([^]]*)\]$/\1/' "$out/clang-tidy.found" | sort | uniq -c | sort -rn
echo "---- cppcheck"
sed -E 's/.*\[([^]]*)\]$/\1/' "$out/cppcheck.found" | sort | uniq -c | sort -rn
