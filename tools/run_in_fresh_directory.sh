#!/usr/bin/env bash
# Runs PROGRAM [ARGUMENT...] in a new empty directory and removes it afterwards.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
"$@"
