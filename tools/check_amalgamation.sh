#!/usr/bin/env bash
# Generates the amalgamation, compiles it with both compilers, and runs a small program over it.
set -euo pipefail
cd "$(dirname "$0")/.."
directory=build/amalgamation
tools/amalgamate.py "$directory"

# Inline helpers that nobody calls are normal in a header; here they stand in the one .c file.
warnings=(-std=c11 -Wall -Wextra -Werror -Wno-unused-function)
# At -O0: the point is that it compiles, links and runs; optimised builds are tested elsewhere.
clang "${warnings[@]}" -fsyntax-only "$directory/firn.c" &
clang_pid=$!
gcc "${warnings[@]}" -c "$directory/firn.c" -o "$directory/firn.o"
wait "$clang_pid"
tools/check_symbols.sh "$directory/firn.o"
gcc "${warnings[@]}" -I"$directory" tools/amalgamation_smoke.c "$directory/firn.o" \
  -pthread -o "$directory/smoke"
tools/run_in_fresh_directory.sh "$PWD/$directory/smoke" db
