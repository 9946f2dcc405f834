#!/usr/bin/env bash
# check_symbols.sh FILE... - fails when a library or object defines a global name that does not begin
# with firn_, or none that does.
set -euo pipefail
failed=0
for file in "$@"; do
  case $file in
    *.so*) names=$(nm -D --defined-only "$file") ;;
    *) names=$(nm -g --defined-only "$file") ;;
  esac
  names=$(awk 'NF == 3 { print $3 }' <<<"$names")
  if ! grep -q '^firn_' <<<"$names"; then
    echo "$file exports nothing"
    failed=1
  fi
  strangers=$(grep -v '^firn_' <<<"$names" || true)
  if [ -n "$strangers" ]; then
    echo "$file exports names without the prefix firn_:"
    sed 's/^/  /' <<<"$strangers"
    failed=1
  fi
done
exit "$failed"
