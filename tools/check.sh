#!/usr/bin/env bash
# check.sh [-j N] - every check that runs no tests. One line per step; every step is
# tried, so that one run shows all that is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)
[ "${1:-}" != -j ] || jobs=$2

failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
step() {
  local name=$1 begin=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    printf '%-44s ok %4d s\n' "$name" $((SECONDS - begin))
    # What a step has to say although it passed.
    sed 's/^/  /' "$log"
  else
    printf '%-44s FAILED\n' "$name"
    cat "$log"
    failed=1
  fi
}
format() {
  tools/list_sources.sh | xargs -r clang-format --dry-run -Werror
}

step 'the checks themselves' tools/check_layers.py --self-test
step 'the style checks themselves' tools/check_style.py --self-test
step 'floors' tools/check_layers.py
step 'style' tools/check_style.py
step 'format' format
step 'the README shows its example' tools/check_readme.py
step 'worked hex is what golden files hold' tools/check_hex.py
step 'planted bugs still apply' bash tests/mutants/check_apply.sh
step 'those of the explorer, too' tests/explore/plants.py
step 'headers compile alone' tools/check_headers.sh
step 'release build with gcc' tools/build.sh -j "$jobs" release
step 'exported symbols' tools/check_symbols.sh build/release/libfirn.so build/release/libfirn.a
step 'amalgamation' tools/check_amalgamation.sh
step 'build with clang' tools/build.sh -j "$jobs" clang
step 'build without libraries' tools/build.sh -j "$jobs" builtin firn
step 'clang-tidy on changed files' tools/tidy.py -j "$jobs"
exit "$failed"
