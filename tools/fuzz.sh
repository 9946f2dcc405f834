#!/usr/bin/env bash
# fuzz.sh SECONDS [NAME] - runs the fuzz targets of build/fuzz, or one of them, for SECONDS each.
# New inputs collect in build/fuzz/corpus/NAME, beside the kept ones of fuzz/corpus/NAME; an input
# that fails is written to build/fuzz/failures and ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
only=${2:-}

ran=0
for source in fuzz/*.c; do
  name=$(basename "$source" .c)
  [ -e "$source" ] || continue
  [ -z "$only" ] || [ "$only" = "$name" ] || [ "${only}_fuzz" = "$name" ] || continue
  ran=$((ran + 1))
  corpora=("build/fuzz/corpus/$name")
  [ ! -d "fuzz/corpus/$name" ] || corpora+=("fuzz/corpus/$name")
  mkdir -p "build/fuzz/corpus/$name" build/fuzz/failures
  echo "fuzzing $name for $seconds s"
  log=build/fuzz/$name.log
  if ! "build/fuzz/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz/failures/$name-" "${corpora[@]}" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "fuzz target $name failed; the input is in build/fuzz/failures" >&2
    exit 1
  fi
  tail -n 1 "$log"
done
if [ "$ran" -eq 0 ]; then
  echo "fuzz.sh: no fuzz target ${only:+named \"$only\" }in fuzz/" >&2
  exit 1
fi
