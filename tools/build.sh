#!/usr/bin/env bash
# build.sh [-j N] [--configure-only] PRESET [TARGET...] - configures build/PRESET when needed and
# builds it. Quiet when nothing is wrong, apart from progress on a terminal.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
build=yes
while :; do
  case ${1:-} in
    -j) jobs=$2; shift 2 ;;
    --configure-only) build=no; shift ;;
    *) break ;;
  esac
done
preset=$1
shift
directory=build/$preset

if [ -z "${CMAKE_GENERATOR:-}" ] && command -v ninja >/dev/null; then
  export CMAKE_GENERATOR=Ninja
fi

# What is found depends on the packages that are there: dpkg writes this file whenever one is
# installed or removed, and CMake searches again for what its cache says was not found.
packages=/var/lib/dpkg/status

cache=$directory/CMakeCache.txt
if [ ! -e "$cache" ] || [ CMakePresets.json -nt "$cache" ] || [ "$packages" -nt "$cache" ]; then
  mkdir -p "$directory"
  if ! cmake --preset "$preset" >"$directory/configure.log" 2>&1; then
    cat "$directory/configure.log" >&2
    rm -f "$cache"
    exit 1
  fi
  touch "$cache"
  grep '^firn: ' "$directory/configure.log" >&2 || true
fi
[ "$build" = yes ] || exit 0

targets=()
for target in "$@"; do
  targets+=(--target "$target")
done
if [ -t 1 ]; then
  exec cmake --build "$directory" --parallel "$jobs" "${targets[@]}"
fi
# In a log only what went wrong is worth a line; "-- " are CMake's remarks when it looks again.
if [ -e "$directory/build.ninja" ]; then quiet=--quiet; else quiet=-s; fi
cmake --build "$directory" --parallel "$jobs" "${targets[@]}" -- "$quiet" 2>&1 |
  { grep -v '^-- ' || true; }
