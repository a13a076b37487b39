#!/usr/bin/env bash
# Builds the libFuzzer targets (preset fuzz, clang) and runs each for some seconds, from the seeds in test/fuzz/corpus.
#   scripts/fuzz.sh [seconds [target ...]]     default: 30 s, all of them
# New inputs stay in build/fuzz/corpus, so that the next run goes on from there; inputs that failed are
# left in build/fuzz/crashes, and the exit status is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
[ $# -gt 0 ] && shift
build=${SHERD_FUZZ_BUILD:-build/fuzz}
[ -n "${SHERD_FUZZ_BUILD:-}" ] || scripts/install-packages.sh --fuzz
[ -f "$build/build.ninja" ] || cmake --preset fuzz -B "$build" >/dev/null
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(cd test/fuzz && ls fuzz_*.c | sed 's/\.c$//')
fi
ninja -C "$build" "${targets[@]}" >"$build/fuzz-build.txt" || { tail -40 "$build/fuzz-build.txt"; exit 1; }
mkdir -p "$build/crashes"
failed=0
printf '%-16s %12s %10s %8s %s\n' target executions exec/s covered result
for t in "${targets[@]}"; do
    mkdir -p "$build/corpus/$t"
    log="$build/crashes/$t.log"
    rc=0
    "$build/bin/$t" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$build/crashes/$t-" \
        "$build/corpus/$t" "test/fuzz/corpus/$t" >"$log" 2>&1 || rc=$?
    execs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    cover=$(grep -oE 'cov: [0-9]+' "$log" | tail -1 | cut -d' ' -f2)
    result=ok
    if [ $rc -ne 0 ]; then
        failed=1
        result="FAILED: $(grep -m1 -E 'runtime error|assertion failed|ERROR:' "$log" || echo "status $rc"), see $log"
    fi
    printf '%-16s %12s %10s %8s %s\n' "$t" "${execs:--}" "${rate:--}" "${cover:--}" "$result"
done
exit $failed
