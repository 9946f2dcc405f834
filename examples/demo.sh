#!/usr/bin/env bash
# The main job on real data: a tree of files goes into a database, the importer is killed part-way,
# nothing that was acknowledged is lost, the rest follows, and then the database is looked at.
#
# usage: demo.sh [--keep]     FIRN_BIN: the tool; KEEP=1 or --keep: leave the working folder there
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd)
firn=${FIRN_BIN:-$root/build/release/bin/firn}
keep=${KEEP:-}
[ "${1:-}" = --keep ] && keep=1
[ -x "$firn" ] || { echo "demo: there is no tool at $firn; build it with make" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/firn-demo.XXXXXX")
importer=
clean_up() {
  local status=$?
  [ -z "$importer" ] || kill -KILL "$importer" 2>/dev/null || true
  if [ -n "$keep" ]; then
    echo "Kept: $work"
  else
    rm -rf "$work"
  fi
  [ "$status" -eq 0 ] || echo "demo: FAILED (status $status)" >&2
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
step=0
heading() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"; }
say() { printf '   %s\n' "$*"; }
# Shows a command as one would type it.
show() {
  local shown="$*"
  shown=${shown//"${tiny[*]} "/}
  shown=${shown//$firn/firn}
  shown=${shown//$work\//}
  printf '   $ %s\n' "$shown"
}
run() {
  show "$@"
  "$@" 2>&1 | sed 's/^/     /'
}
# For long work: its messages go to the terminal itself, where they bring a progress bar.
run_long() {
  show "$@"
  "$@"
}
with_commas() { printf '%s' "$1" | rev | sed 's/.../&,/g; s/,$//' | rev; }

# Small memtables and files, so that a small database already has several levels.
tiny=(-o memtable_bytes=1M -o file_bytes=1M -o level_base_bytes=4M)
db=$work/db

# The sources, as paths below / and as keys alike.
headers=usr/include
packages=var/lib/dpkg/info
[ -d "/$packages" ] || packages=usr/share/doc
# A machine with a very large tree gets a part of it: the demo is to be short.
[ "$(du -sm "/$headers" | cut -f1)" -le 400 ] || headers=usr/include/linux
list_files() { (cd / && find "$@" -type f -print0 | sort -z); }
sums() { (cd "$1" && xargs -0 -r sha256sum --) ; }

heading "Real files"
list_files "$headers" >"$work/headers.list"
list_files "$packages" >"$work/packages.list"
total=$(tr -cd '\0' <"$work/headers.list" | wc -c)
say "/$headers: $(with_commas "$total") files, $(du -sh "/$headers" | cut -f1)"
say "/$packages: $(with_commas "$(tr -cd '\0' <"$work/packages.list" | wc -c)") files, $(du -sh "/$packages" | cut -f1)"

say "To show several levels with so little, memtables and files are kept small:"
say "${tiny[*]}"

heading "Import the first tree, and kill the importer (SIGKILL) part-way"
# A pause without starting a process.
exec {never}<> <(:)
acknowledged() {
  local number=0
  [ -e "$work/ack" ] && read -r number <"$work/ack"
  echo "${number:-0}"
}
# Kills once `$1` files are acknowledged; fails when the importer was done before.
import_and_kill() {
  local number=0 status=0 give_up=$((SECONDS + 60))
  "$firn" import "${tiny[@]}" "$db" --files "/$headers" --prefix "$headers/" --ack "$work/ack" &
  importer=$!
  while [ "$SECONDS" -lt "$give_up" ] && [ "${number:-0}" -lt "$1" ]; do
    read -r -t 0.002 -u "$never" || true
    [ ! -e "$work/ack" ] || read -r number <"$work/ack" || true
  done
  kill -KILL "$importer" 2>/dev/null || true
  wait "$importer" 2>/dev/null || status=$?
  importer=
  # The bar of a killed process stays where it was.
  [ ! -t 2 ] || printf '\r\033[K' >&2
  [ "$status" -eq 137 ]
}
printf '   $ firn import db --files /%s --ack ack &   ... kill -9\n' "$headers"
goal=$((total * 2 / 5))
until import_and_kill "$goal"; do
  goal=$((goal / 4))
  [ "$goal" -gt 0 ] || { echo "demo: the importer could not be killed in time" >&2; exit 1; }
  rm -rf "$db" "$work/ack"
done
acked=$(acknowledged)
say "killed; acknowledged so far: $(with_commas "$acked") of $(with_commas "$total") files"

heading "Reopen: is everything that was acknowledged there, byte for byte?"
run "$firn" verify "$db"
run "$firn" export -q "$db" --files "$work/after-kill"
head -z -n "$acked" "$work/headers.list" >"$work/acked.list"
sums / <"$work/acked.list" >"$work/source.sums"
sums "$work/after-kill" <"$work/acked.list" >"$work/database.sums"
cmp "$work/source.sums" "$work/database.sums"
found=$(find "$work/after-kill" -type f | wc -l)
say "yes: $(with_commas "$acked") acknowledged files are there and identical (SHA-256)"
say "(the database holds $(with_commas "$found"): a batch can be in before it is acknowledged)"
rm -rf "$work/after-kill"

heading "Finish the import, and add the package database"
run_long "$firn" import "${tiny[@]}" "$db" --files "/$headers" --prefix "$headers/"
run_long "$firn" import "${tiny[@]}" "$db" --files "/$packages" --prefix "$packages/"
if [ -r /var/lib/dpkg/status ]; then
  run "$firn" put "${tiny[@]}" "$db" var/lib/dpkg/status --file /var/lib/dpkg/status
fi
run "$firn" export -q "$db" --files "$work/all"
cat "$work/headers.list" "$work/packages.list" >"$work/all.list"
sums / <"$work/all.list" >"$work/source.sums"
sums "$work/all" <"$work/all.list" >"$work/database.sums"
cmp "$work/source.sums" "$work/database.sums"
say "all $(with_commas "$(wc -l <"$work/source.sums")") files are there and identical"
rm -rf "$work/all"

heading "Look things up"
one=$headers/stdio.h
[ -f "/$one" ] || read -r -d '' one <"$work/headers.list"
say "one key:"
printf '   $ firn get db %s | head -n 3\n' "$one"
"$firn" get "$db" "$one" | head -n 3 | sed 's/^/     /'
"$firn" get "$db" "$one" | cmp - "/$one"
say "a prefix:"
run "$firn" scan "$db" --prefix "$packages/libc6" --keys-only --limit 5
say "from the other end:"
run "$firn" scan "$db" --prefix "$headers/" --keys-only --reverse --limit 3
say "something that is not there:"
status=0
"$firn" get "$db" no/such/file 2>"$work/message" || status=$?
say "\$ firn get db no/such/file"
say "  $(cat "$work/message"), exit status $status"
[ "$status" -eq 1 ]

heading "The picture of the levels"
run "$firn" stats "${tiny[@]}" "$db"

heading "Compact, and look again"
run_long "$firn" compact "${tiny[@]}" "$db"
run "$firn" stats "${tiny[@]}" "$db"
run "$firn" verify "$db"

heading "Done in $SECONDS s"
if [ -n "$keep" ]; then
  say "look around: $firn shell $db"
else
  say "nothing is left behind (KEEP=1 keeps the database)"
fi
