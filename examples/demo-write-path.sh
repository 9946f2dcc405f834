#!/usr/bin/env bash
# The life of a write in four scenes, on real files: what lies in the directory after each step.
#
# usage: demo-write-path.sh [--keep]     FIRN_BIN: the tool; KEEP=1 or --keep: leave the files there
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd)
firn=${FIRN_BIN:-$root/build/release/bin/firn}
keep=${KEEP:-}
[ "${1:-}" = --keep ] && keep=1
[ -x "$firn" ] || { echo "demo: there is no tool at $firn; build it with make" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/firn-write-path.XXXXXX")
shell_pid=
clean_up() {
  local status=$?
  [ -z "$shell_pid" ] || kill "$shell_pid" 2>/dev/null || true
  if [ -n "$keep" ]; then echo "Kept: $work"; else rm -rf "$work"; fi
  [ "$status" -eq 0 ] || echo "demo: FAILED (status $status)" >&2
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
cd "$work"

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
scene() { printf '\n%sScene %s: %s%s\n' "$bold" "$1" "$2" "$plain"; }
say() { printf '\n   %s\n' "$*"; }
indent() { sed 's/^/     /'; }

# One process holds the database through all four scenes, as a program would; inspect looks over its
# shoulder, which takes no lock.
mkfifo commands
"$firn" shell -o memtable_bytes=1M -o file_bytes=1M db <commands >>answers 2>errors &
shell_pid=$!
exec {commands}>commands
asked=0
# Sends commands and waits until they are done: a "get" of a key that is nowhere, behind them, is
# answered on standard error.
ask() {
  : >answers
  asked=$((asked + 1))
  printf '%s\nget marker%s\n' "$*" "$asked" >&"$commands"
  until grep -q "no such key: marker$asked\$" errors; do
    kill -0 "$shell_pid" 2>/dev/null || { cat errors >&2; exit 1; }
    sleep 0.01
  done
}
tell() {
  printf '   firn> %s\n' "$*"
  ask "$*"
  indent <answers
}
show_stats() {
  printf '   firn> stats\n'
  ask stats
  grep -E '^  (memtable|log|tables|L[0-9]) |^levels' answers | indent
}

list_directory() {
  printf '   $ ls db\n'
  (cd db && for file in *.wal *.sst MANIFEST-*; do
    [ -e "$file" ] && printf '%-20s %10s bytes\n' "$file" "$(stat -c %s "$file")"
  done) | indent || true
}
newest() { ls db/*."$1" | sort | tail -n 1; }

scene 1 "a put lands in the log and in the memtable"
tell put mountain/eiger 3967
tell put mountain/moench 4110
list_directory
say "The log holds both records already; there is no table yet."
printf '   $ firn inspect %s\n' "$(newest wal)"
"$firn" inspect "$(newest wal)" | indent
say "Reads are answered from the memtable:"
tell get mountain/eiger
show_stats

scene 2 "a full memtable becomes a table, and its log is let go"
first_log=$(newest wal)
say "Real files, more than the 1 MiB of the memtable and of a log segment:"
bytes=0
for file in /usr/include/*.h /usr/include/linux/*.h; do
  size=$(stat -c %s "$file" 2>/dev/null) || continue
  [ "$bytes" -lt 1500000 ] && [ "$size" -lt 100000 ] || continue
  bytes=$((bytes + size))
  printf 'put file%s --file %s\n' "$file" "$file"
done >puts
printf '   firn> put file/usr/include/... --file /usr/include/...   (%s times)\n' "$(wc -l <puts)"
ask "$(cat puts)"
tell flush
list_directory
[ ! -e "$first_log" ] && say "$(basename "$first_log") is gone: all it held is in the tables."
printf '   $ firn inspect %s | head -n 14\n' "$(newest sst)"
"$firn" inspect "$(newest sst)" | head -n 14 | indent
show_stats

scene 3 "new writes go to the fresh log"
tell put mountain/jungfrau 4158
printf '   $ firn inspect %s | tail -n 5\n' "$(newest wal)"
"$firn" inspect "$(newest wal)" | tail -n 5 | indent
show_stats

scene 4 "a delete's tombstone travels down and vanishes"
tell delete mountain/eiger
say "In the log it is a record like any other:"
"$firn" inspect "$(newest wal)" | tail -n 3 | indent
say "Flushed, it is an entry of a table in L0 and hides the older value below:"
tell flush
show_stats
tell get mountain/eiger
tail -n 2 errors | head -n 1 | indent
say "Compacted down to the last level there is nothing left to hide, so it is dropped:"
tell compact --quiet
show_stats
list_directory
tell scan --prefix mountain/

printf 'quit\n' >&"$commands"
exec {commands}>&-
wait "$shell_pid" || [ $? -eq 1 ] # the markers were keys that are not there
shell_pid=
say "Closed. $("$firn" verify db)"
