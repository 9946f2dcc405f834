#!/usr/bin/env bash
# shell: scripts from standard input, and a terminal where there is one.
. "$(dirname "$0")/cli_lib.sh"

script() {
  local wanted=$1
  shift
  printf '%s\n' "$@" >script
  expect "$wanted" firn shell db <script
}

script 0 '# a comment' '' '   ' 'put a 1' 'put "b c" "two words"' "put 'd\"e' x" 'get "b c"' \
  'get a' 'set f \x41\t' 'get f' 'scan --reverse --limit 2' 'quit' 'put never reached'
expect_out 'two words\n1\nA\\t\nf\tA\\t\nd"e\tx\n'
expect 1 firn get db never

script 0 'put g\ h v' 'get g\ h' 'put e ""' 'get e' 'get a # and a comment'
expect_out 'v\n\n1\n'

# The first error ends it with its status; absence is an answer, not an error.
script 1 'get nothing' 'get a'
expect_out '1\n'
expect_err 'firn shell: line 1: get: no such key: nothing'
script 2 'put x 1' 'putt y 2' 'put z 3'
expect_err 'line 2: there is no command "putt"; did you mean "put"'
expect 0 firn get db x
expect 1 firn get db z
script 2 'stats extra'
expect_err 'line 1: stats: "extra" is too much'
script 2 'get "open'
expect_err 'quote'
script 2 'get -o memtable_bytes=1M a'
script 2 'put k -'
script 2 'import x'
printf 'get a\nbogus\nget a\n' | firn shell db --keep-going >out 2>err
[ "${PIPESTATUS[1]}" -eq 2 ] || fail 'the status of the first error'
expect_out '1\n1\n'

# Maintenance works on the open database.
script 0 'put k1 v1' 'sync' 'flush' 'delete k1' 'flush' 'compact --quiet' 'stats' 'stats --json' 'help' 'help put'
grep -q 'levels' out || fail 'stats shows the levels'
grep -q '"flushes":[1-9]' out || fail 'counters run while the shell is open'
expect 1 firn get db k1
expect 0 firn verify db

# Read-only: looks, but does not touch.
printf 'get a\nput a 2\n' >script
expect 3 firn shell --read-only db <script
expect_err 'READ_ONLY'
expect 0 firn get db a
expect_out '1'

# No history is written for a script.
HOME=$PWD expect 0 firn shell db <<<'get a'
[ ! -e .firn_history ] || fail 'a script left a history'

# On a terminal there is a prompt, and a history for next time.
if command -v script >/dev/null; then
  printf 'put t 1\rget t\rquit\r' >keys
  HOME=$PWD timeout 30 script -qec "$FIRN_BIN shell db" /dev/null <keys >typed 2>&1 || fail "a session on a terminal: $(cat typed)"
  grep -q 'firn>' typed || fail "no prompt: $(cat -v typed)"
  expect 0 firn get db t
  expect_out '1'
  if [ -e .firn_history ]; then
    [ "$(stat -c %a .firn_history)" = 600 ] || fail 'the history is readable by others'
  fi
fi
echo "ok"
