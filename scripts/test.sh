#!/usr/bin/env bash
# Installs, builds with sanitizers and warnings as errors, runs every test, prints the summary.
#   scripts/test.sh [ctest arguments, e.g. -L unit, -R raft]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-packages.sh --tests
scripts/build.sh dev
scripts/build.sh release
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=0}
ctest --test-dir build/dev --output-on-failure -j 2 "$@"
