#!/usr/bin/env bash
# Builds sherd. The release binaries land in build/release/bin.
#   scripts/build.sh [release|dev|tsan|fuzz|coverage|analyze]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
scripts/install-packages.sh
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >"/tmp/sherd-cmake.$$" 2>&1 ||
    { cat "/tmp/sherd-cmake.$$"; rm -f "/tmp/sherd-cmake.$$"; exit 1; }
rm -f "/tmp/sherd-cmake.$$"
if [ "$preset" = release ] && [ "${SHERD_BUILD_ALL:-}" != 1 ]; then
    cmake --build --preset release --target sherd sherdd sherd_shared # what users run; SHERD_BUILD_ALL=1 for tests and benches too
else
    cmake --build --preset "$preset"
fi
