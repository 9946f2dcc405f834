#!/usr/bin/env bash
# Proves that every planted bug still fits the tree, so that run.sh can plant it.
set -euo pipefail
cd "$(dirname "$0")/../.."

count=0
failed=0
for patch in tests/mutants/*.patch; do
    count=$((count + 1))
    if ! git apply --check "$patch"; then
        echo "$patch: does not apply any more" >&2
        failed=1
    fi
done
[ "$failed" = 0 ] && echo "tests/mutants: $count patches apply"
exit "$failed"
