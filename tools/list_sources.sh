#!/usr/bin/env bash
# Lists the C files of the tree, one per line: tracked ones, and new ones that are not ignored.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | sort -u | while read -r file; do
  [ -e "$file" ] && printf '%s\n' "$file"
done
true
