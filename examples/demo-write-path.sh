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

# One process holds the database through all four scenes, as a program would; the others look over
# its shoulder, which takes no lock.
mkfifo commands
"$firn" shell -o memtable_bytes=256K -o file_bytes=256K db <commands >answers 2>errors &
shell_pid=$!
exec {commands}>commands
lines_answered() { wc -l <answers; }
# Sends a command and waits until it is done: the "get" behind it answers in order.
tell() {
  local before
  before=$(lines_answered)
  printf '   firn> %s\n' "${*:0:1}${*:1}"
  printf '%s\nget answered\n' "$*" >&"$commands"
  until [ "$(lines_answered)" -gt "$before" ]; do
    kill -0 "$shell_pid" || { cat errors >&2; exit 1; }
    sleep 0.01
  done
}
printf 'put answered ok\n' >&"$commands"

list_directory() {
  printf '   $ ls db\n'
  (cd db && for file in *.wal *.sst MANIFEST-*; do
    [ -e "$file" ] && printf '%-20s %10s bytes\n' "$file" "$(stat -c %s "$file")"
  done) | indent || true
}
newest() { ls db/*."$1" | sort | tail -n 1; }
show_level_lines() { "$firn" stats db | grep -E 'memtable|log  |tables|^  L|empty' | indent; }

scene 1 "a put lands in the log and in the memtable"
tell put mountain/eiger 3967
tell put mountain/moench 4110
list_directory
say "The log holds both records already; there is no table yet."
printf '   $ firn inspect %s\n' "$(newest wal)"
"$firn" inspect "$(newest wal)" | head -n 14 | indent
say "The memtable is what a read sees:"
printf '   $ firn get db mountain/eiger\n'
"$firn" get db mountain/eiger | indent
echo
show_level_lines

scene 2 "a full memtable becomes a table, and its log is let go"
first_log=$(newest wal)
say "Real files until the 256 KiB of the memtable are full:"
for file in /usr/include/*.h; do
  [ -f "$file" ] && [ "$(stat -c %s "$file")" -lt 100000 ] || continue
  printf 'put file%s --file %s\n' "$file" "$file"
done | head -n 60 >puts
printf '   firn> put file/usr/include/... --file ...   (%s times)\n' "$(wc -l <puts)"
tell "$(cat puts)" >/dev/null
tell flush
list_directory
[ ! -e "$first_log" ] && say "$(basename "$first_log") is gone: all it held is in the tables."
printf '   $ firn inspect %s\n' "$(newest sst)"
"$firn" inspect "$(newest sst)" | head -n 14 | indent
show_level_lines

scene 3 "new writes go to the fresh log"
tell put mountain/jungfrau 4158
printf '   $ firn inspect %s\n' "$(newest wal)"
"$firn" inspect "$(newest wal)" | head -n 14 | indent
show_level_lines

scene 4 "a delete's tombstone travels down and vanishes"
tell delete mountain/eiger
say "In the log it is a record like any other:"
"$firn" inspect "$(newest wal)" | grep -i -B 1 -A 1 'del' | indent || true
say "Flushed, it is an entry of a table in L0 and hides the older value below:"
tell flush
show_level_lines
status=0
"$firn" get db mountain/eiger || status=$?
[ "$status" -eq 1 ]
say "Compacted down to the last level there is nothing left to hide, so it is dropped:"
tell compact --quiet
show_level_lines
list_directory
printf '   $ firn scan db --prefix mountain/\n'
"$firn" scan db --prefix mountain/ | indent

printf 'quit\n' >&"$commands"
exec {commands}>&-
wait "$shell_pid"
shell_pid=
say "Closed. $("$firn" verify db)"
