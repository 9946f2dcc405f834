#!/usr/bin/env bash
# Plants each bug in a copy of the tree and runs the quick crash sweep on it, which must fail.
#   run.sh [name...]        default: every patch
# FIRN_MUTANT_SECONDS: how long one sweep may take (default 600; a hang counts as caught).
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${FIRN_MUTANT_SECONDS:-600}
work=$(mktemp -d "${TMPDIR:-/tmp}/firn-mutants-XXXXXX")
trap 'rm -rf "$work"' EXIT
# git apply would look for a repository around the copy, and skip what is not in it.
export GIT_CEILING_DIRECTORIES=$work

copy=$work/tree
log=$work/sweep.log
mkdir "$copy"
tar -C "$tree" --exclude=./.git --exclude=./build -cf - . | tar -C "$copy" -xf -
cd "$copy"

build() {
    cmake --build build --target test_crash_quick_sweep -j "$(nproc)" >"$work/build.log" 2>&1
}
sweep() {
    timeout "$seconds" build/tests/crash/quick_sweep_test >"$log" 2>&1
}

cmake -S . -B build -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g" -DFIRN_EXAMPLES=OFF \
    >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
build || { tail -20 "$work/build.log"; exit 1; }
if ! sweep; then
    tail -20 "$log"
    echo "the sweep fails without any planted bug" >&2
    exit 1
fi

names=("$@")
if [ ${#names[@]} = 0 ]; then
    for patch in tests/mutants/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi
survived=0
for name in "${names[@]}"; do
    patch=$tree/tests/mutants/$name.patch
    git apply "$patch"
    if ! build; then
        tail -20 "$work/build.log"
        echo "$name: does not build" >&2
        exit 1
    fi
    start=$SECONDS
    if sweep; then
        survived=$((survived + 1))
        printf '%-32s SURVIVED\n' "$name"
    else
        printf '%-32s caught in %d s\n' "$name" $((SECONDS - start))
    fi
    git apply -R "$patch"
done
echo "${#names[@]} planted bugs, $survived survived"
[ "$survived" = 0 ]
