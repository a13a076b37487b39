#!/usr/bin/env bash
# Builds with ThreadSanitizer (preset tsan) and runs the tests in which threads meet: unit tests, and integration,
# isolation and chaos with servers built so. The simulators have one thread.
#   scripts/tsan.sh [ctest arguments]     such as -R test_failover; default: all of them
# Every process writes what it finds to build/tsan/reports, also a server that its test kills: one report is enough for
# exit status 1. gRPC and its libraries are not instrumented, and what they do by themselves is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset tsan >/dev/null
cmake --build --preset tsan
reports=$PWD/build/tsan/reports
rm -rf "$reports"
mkdir "$reports"
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 log_path=$reports/report"
rc=0
ctest --test-dir build/tsan --output-on-failure -L 'unit|integration' "$@" || rc=$?
if compgen -G "$reports/report*" >/dev/null; then
    cat "$reports"/report*
    rc=1
fi
exit $rc
