#!/usr/bin/env bash
# Wrong usage, wrong paths, databases held by others: a clear message, the right status, no harm.
. "$(dirname "$0")/cli_lib.sh"

# --- usage ---
expect 2 firn
expect_err 'usage: firn VERB'
expect 0 firn help
grep -q 'import .*files' out || fail 'help lists the verbs'
expect 0 firn --help
expect 0 firn --version
grep -q '^firn [0-9]*\.[0-9]*\.[0-9]*$' out || fail 'the version'
expect 0 firn version
expect 2 firn gett db k
expect_err 'did you mean "get"'
expect 2 firn exprt db
expect_err 'did you mean "export"'
expect 2 firn xyzzy
expect_err 'firn help'
for verb in put get delete scan import export stats sync flush compact verify repair inspect shell \
  options help version set del; do
  expect 0 firn help "$verb"
  grep -q '^usage: firn ' out || fail "help $verb has no usage"
  expect 0 firn "$verb" --help
done
expect 2 firn help nonsense
expect 2 firn get
expect_err 'usage: firn get DB KEY'
expect 2 firn get db
expect 2 firn stats db extra
expect_err '"extra" is too much'
expect 2 firn scan db --nonsense
expect_err 'unknown option --nonsense'
expect 2 firn scan db --limit
expect_err 'wants a value'
expect 2 firn scan db --reverse=yes
expect_err 'takes no value'
expect 2 firn put db k
expect 2 firn put db k v --file f
expect 2 firn put db k v -o nonsense=1
expect_err 'nonsense'
expect 2 firn put db k v -o memtable_bytes=lots
expect 2 firn put db k v -o memtable_bytes
[ ! -e db ] || fail 'a wrong command line made a database'

# --- engine options are listed and taken ---
expect 0 firn options
grep -q '^memtable_bytes ' out || fail 'options lists memtable_bytes'
expect 0 firn put -o memtable_bytes=1M -o sync_interval_ms=50 db k v
expect 3 firn put db k v -o error_if_exists=yes
expect 3 firn put new k v -o create_if_missing=no
[ ! -e new ] || fail 'create_if_missing=no made a database'

# --- no database, or something else there ---
for words in 'get missing k' 'scan missing' 'export missing' 'stats missing' 'verify missing' 'repair missing' \
  'delete missing k' 'flush missing' 'compact missing' 'sync missing' 'shell --read-only missing'; do
  expect 3 firn $words </dev/null
  expect_err 'missing'
  [ ! -e missing ] || fail "firn $words made a database"
done
expect 3 firn inspect missing
echo text >a-file
expect 3 firn put a-file k v
expect_err 'a-file'
expect 3 firn get a-file k
expect 3 firn verify a-file
expect 3 firn inspect a-file
[ "$(cat a-file)" = text ] || fail 'a file was overwritten'
mkdir other
echo precious >other/notes.txt
expect 3 firn put other k v
expect_err 'other'
[ "$(ls -A other)" = notes.txt ] || fail "something was put beside foreign files: $(ls -A other)"
expect 3 firn put no/such/parent k v
expect_err 'the directory to create it in does not exist'
if [ "$(id -u)" -ne 0 ]; then
  mkdir sealed && chmod 500 sealed
  expect 3 firn put sealed/db k v
  expect_err 'Permission denied'
fi

# --- held by another process: writers are refused with its pid, readers are not ---
mkfifo commands
"$FIRN_BIN" shell db <commands >shell.out 2>shell.err &
holder=$!
cli_background+=("$holder")
exec 7>commands
echo 'put live yes' >&7
live_is_there() { "$FIRN_BIN" get db live >/dev/null 2>&1; }
wait_for 20 live_is_there
expect 3 firn put db k other
expect_err 'LOCKED'
expect_err "$holder"
expect 3 firn delete db k
expect 3 firn flush db
expect 3 firn compact db
expect 3 firn import db /dev/null
expect_err "$holder"
expect 0 firn get db live
expect_out 'yes'
expect 0 firn scan db
expect_out 'k\tv\nlive\tyes\n'
expect 0 firn stats db
expect 0 firn verify db
expect 0 firn export db
echo 'flush' >&7
echo 'put after flush' >&7
after_is_there() { "$FIRN_BIN" get db after >/dev/null 2>&1; }
wait_for 20 after_is_there
{ kill -KILL "$holder"; wait "$holder"; } 2>/dev/null
cli_background=()
exec 7>&-

# --- the holder was killed: its writes are there, the lock is not ---
expect 0 firn put db k2 v2
expect 0 firn scan db
expect_out 'after\tflush\nk\tv\nk2\tv2\nlive\tyes\n'
expect 0 firn verify db
echo "ok"
