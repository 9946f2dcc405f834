# Sourced by the tests of the command line. Gives a fresh directory to work in, the tool as `firn`,
# and checks that say what they wanted.
set -u
: "${FIRN_BIN:?FIRN_BIN must be the path of the firn tool}"
export LC_ALL=C

cli_origin=$PWD
cli_directory=$(mktemp -d "${TMPDIR:-/tmp}/firn-cli-test.XXXXXX")
cd "$cli_directory" || exit 1
cli_background=()

cli_cleanup() {
  local status=$? pid
  for pid in "${cli_background[@]:-}"; do
    [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
  done
  cd "$cli_origin" && rm -rf "$cli_directory"
  exit "$status"
}
trap cli_cleanup EXIT
# Without this the shell would die silently when a tool it writes to has ended too early.
trap 'fail "a program ended before it had read what it was sent"' PIPE
trap 'fail "terminated"' TERM INT HUP

firn() { "$FIRN_BIN" "$@"; }

fail() {
  printf 'FAILED: %s (line %s)\n' "$*" "${BASH_LINENO[-2]}" >&2
  [ -s out ] && { echo '--- stdout'; head -c 2000 out; } >&2
  [ -s err ] && { echo '--- stderr'; head -c 2000 err; } >&2
  [ -s shell.err ] && { echo '--- stderr of the shell in the background'; cat shell.err; } >&2
  exit 1
}

# expect STATUS COMMAND...: runs it with stdout in ./out and stderr in ./err.
expect() {
  local wanted=$1 got=0
  shift
  "$@" >out 2>err || got=$?
  [ "$got" -eq "$wanted" ] || fail "exit status $got instead of $wanted: $*"
}

# The whole of stdout, as printf %b writes it.
expect_out() {
  printf '%b' "$1" >wanted
  cmp -s wanted out || fail "stdout is not what was wanted: $1"
}

expect_err() {
  grep -q -- "$1" err || fail "stderr does not say \"$1\""
}

same() {
  cmp "$1" "$2" >/dev/null || fail "$1 and $2 differ${3:+: $3}"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for: $*"
    sleep 0.02
  done
}
