#!/usr/bin/env bash
# Kills an importer at a random moment: no record that was acknowledged may be lost.
#
# LOOPS (2) times RECORDS (200000) records of 16 + 100 bytes go through a pipe into `firn import`,
# which is killed with SIGKILL; then the database is verified and compared with what was sent.
# SEED chooses the moments; it is printed.
. "$(dirname "$0")/cli_lib.sh"

loops=${LOOPS:-2}
records=${RECORDS:-200000}
seed=${SEED:-$((${RANDOM} * 32768 + RANDOM))}
RANDOM=$seed
echo "seed $seed, $loops loops of $records records"

# Keys in a scattered order without repetition: 1000000007 is a prime.
generate() {
  awk -v n="$records" 'BEGIN {
    for (i = 1; i <= n; i++) {
      d = sprintf("%010d", i)
      printf "%016d\t%s\n", (i * 7368787) % 1000000007, d d d d d d d d d d
    }
  }'
}
generate >sent
sort sent >sent.sorted

# A pause without a new process.
exec {never}<> <(:)
pause() { read -r -t "$1" -u "$never" || true; }

acknowledged() {
  local number=0
  read -r number <ack 2>/dev/null
  echo "${number:-0}"
}

# Sends everything and kills the importer once `$1` records are acknowledged and a little later.
run_and_kill() {
  local target=$1 number=0 deadline=$((SECONDS + 200))
  rm -rf db ack
  mkfifo -m 600 pipe 2>/dev/null
  cat sent >pipe &
  local sender=$!
  "$FIRN_BIN" import -q -o memtable_bytes=4M db - --ack ack <pipe 2>err &
  local pid=$!
  cli_background=("$pid" "$sender")
  while [ "$SECONDS" -lt "$deadline" ]; do
    number=0
    [ -e ack ] && read -r number <ack
    # An importer that failed would never get there.
    [ -s err ] && break
    [ "${number:-0}" -ge "$target" ] && break
    pause 0.001
  done
  pause "0.00$((RANDOM % 10))"
  local status=0
  {
    kill -KILL "$pid"
    wait "$pid" || status=$?
    # It may still be waiting for someone to open the pipe.
    kill -KILL "$sender"
    wait "$sender"
  } 2>/dev/null
  cli_background=()
  [ "$status" -eq 137 ] || [ "$status" -eq 0 ] || fail "the importer ended with $status"
}

for ((loop = 1; loop <= loops; loop++)); do
  target=$(((RANDOM * 32768 + RANDOM) % records))
  run_and_kill "$target"
  count=$(acknowledged)
  if [ ! -e db/CURRENT ]; then
    [ "$count" -eq 0 ] || fail "loop $loop: $count records were acknowledged, but there is no database"
    continue
  fi
  firn verify db >out 2>err || fail "loop $loop: verify after the kill"
  firn export db >found 2>err || fail "loop $loop: export after the kill"
  head -n "$count" sent | sort >promised
  comm -23 promised found >lost
  [ ! -s lost ] || fail "loop $loop: $(wc -l <lost) of $count acknowledged records are lost, first: $(head -n 1 lost)"
  comm -13 sent.sorted found >strange
  [ ! -s strange ] || fail "loop $loop: $(wc -l <strange) records were never sent, first: $(head -n 1 strange)"
  firn put db after kill 2>err || fail "loop $loop: the database takes no writes after the kill"
  firn verify db >out 2>err || fail "loop $loop: verify after a reopen"
  [ "$(firn get db after)" = kill ] || fail "loop $loop: a write after the kill is not there"
  echo "loop $loop: killed at $target, $count acknowledged, $(wc -l <found) found, none lost"
done
echo "ok"
