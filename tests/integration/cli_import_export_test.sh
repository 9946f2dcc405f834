#!/usr/bin/env bash
# import and export: records and files come back as they were; bad lines are named.
. "$(dirname "$0")/cli_lib.sh"

# --- every byte, in keys and in values, both formats ---
awk 'BEGIN {
  for (i = 0; i < 256; i++)
    for (j = 0; j < 16; j++) {
      printf "\\x%02x%d\t", i, j
      for (k = 0; k < 8; k++) printf "\\x%02x", (i + j * 37 + k * 11) % 256
      printf "\n"
    }
}' >bytes.tsv
expect 0 firn import db bytes.tsv
expect_err '4,096 records'
firn export db >once.tsv || fail 'export tsv'
firn import -q db.tsv once.tsv || fail 'import of an export'
firn export db.tsv >twice.tsv
same once.tsv twice.tsv 'tsv after a round trip'
firn export db --format jsonl >once.jsonl || fail 'export jsonl'
firn import -q db.jsonl --format jsonl once.jsonl || fail 'import of jsonl'
firn export db.jsonl >thrice.tsv
same once.tsv thrice.tsv 'jsonl after a round trip'
firn scan db --format hex >hex.1
firn scan db.jsonl --format hex >hex.2
same hex.1 hex.2 'bytes after a round trip'
[ "$(wc -l <hex.1)" -eq 4096 ] || fail '4096 records went in'

# --- through pipes, with acknowledgements ---
awk 'BEGIN { for (i = 0; i < 12345; i++) printf "%06d\t%d\n", i, i * i }' >numbers
cat numbers | firn import -q piped - --ack acked || fail 'import from a pipe'
[ "$(($(cat acked)))" -eq 12345 ] || fail "the ack file says $(cat acked)"
firn export piped >out
same numbers out 'records from a pipe'
firn import -q piped2 <numbers || fail 'standard input is the default'
firn export piped2 --prefix 0000 >out
[ "$(wc -l <out)" -eq 100 ] || fail 'export of a prefix'

# A producer that pauses gets its acknowledgement, however few records there are.
mkfifo slow
firn import -q slowdb slow --ack slow.ack 2>err &
cli_background+=($!)
exec 7>slow
printf 'one\t1\ntwo\t2\nhalf a li' >&7
two_acknowledged() { [ "$(($(cat slow.ack 2>/dev/null || echo 0)))" -eq 2 ]; }
wait_for 20 two_acknowledged
printf 'ne\t3\n' >&7
exec 7>&-
wait "${cli_background[0]}" || fail 'import from a slow pipe'
cli_background=()
expect 0 firn scan slowdb
expect_out 'half a line\t3\none\t1\ntwo\t2\n'

# --- edges of the format ---
printf '\t\nempty value\t\nno newline\tat the end' >edges
expect 0 firn import -q edge edges
expect 0 firn scan edge
expect_out '\t\nempty value\t\nno newline\tat the end\n'
: >nothing
expect 0 firn import edge nothing
expect_err '0 records'

# --- malformed lines: named, nothing of them imported, what came before is ---
bad_line() { # FORMAT TEXT WANTED-MESSAGE
  rm -rf bad
  local good='good\tline\n'
  [ "$1" = jsonl ] && good='{"key":"good","value":"line"}\n'
  printf "$good%b\n$good" "$2" >bad.input
  expect 3 firn import bad bad.input --format "$1" --ack bad.ack
  expect_err "bad.input:2: "
  expect_err "$3"
  expect_err '1 record,'
  [ "$(($(cat bad.ack)))" -eq 1 ] || fail 'one line was good'
  expect 0 firn scan bad
  expect_out 'good\tline\n'
}
bad_line tsv 'no tab here' 'no tab'
bad_line tsv '' 'no tab'
bad_line tsv 'a\tb\tc' 'second tab'
bad_line tsv 'a\tb\t' 'second tab'
bad_line tsv 'a\tb\t1 ' 'second tab'
bad_line tsv 'a\tb\t-1' 'second tab'
bad_line tsv 'a\tb\t18446744073709551616' 'second tab'
bad_line tsv 'a\tb\t1\t2' 'second tab'
bad_line jsonl '{"key":"a","value":"b","expires_at_ms":"1"}' 'milliseconds'
bad_line jsonl '{"key":"a","value":"b","expires_at_ms":1.5}' 'comma or the end'
bad_line jsonl '{"key":"a","value":"b","expires_at_ms":18446744073709551616}' 'milliseconds'
bad_line jsonl '{"key":"a","value":"b","expires_at_ms":1,"expires_at_ms":1}' 'two times'
bad_line tsv 'a\t\\q' 'backslash'
bad_line tsv 'a\t\\x1' 'backslash'
bad_line tsv 'a\t\\' 'backslash'
bad_line jsonl 'nonsense' 'object'
bad_line jsonl '' 'object'
bad_line jsonl '{"key":"a"}' 'no value'
bad_line jsonl '{"value":"a"}' 'no key'
bad_line jsonl '{}' 'string is expected'
bad_line jsonl '{"key":"a","value":1}' 'string is expected'
bad_line jsonl '{"key":"a","value":"b","extra":"c"}' 'none of key'
bad_line jsonl '{"key":"a","key":"b","value":"c"}' 'two keys'
bad_line jsonl '{"key":"a","value":"b","value_b64":"Yg=="}' 'two values'
bad_line jsonl '{"key":"a","value":"b"} x' 'follows'
bad_line jsonl '{"key":"a","value":"b",}' 'string is expected'
bad_line jsonl '{"key":"a","value":"b"' 'comma or the end'
bad_line jsonl '{"key":"a","value":"b' 'does not end'
bad_line jsonl '{"key":"a","value_b64":"Yg="}' 'base64'
bad_line jsonl '{"key":"a","value_b64":"Yh=="}' 'base64'
bad_line jsonl '{"key":"a","value":"\\ud800"}' 'surrogate'
bad_line jsonl '{"key":"a","value":"\\u12"}' 'hexadecimal'
bad_line jsonl '{"key":"a","value":"\\x"}' 'escape'
bad_line jsonl '{"key":"a","value":"\0377"}' 'UTF-8'
bad_line jsonl '{"key":"a","value":"\0001"}' 'control'

printf '{ "value" : "\\u00e9\\ud83d\\ude00\\n\\/" , "key_b64" : "AP8=" }\r\n' >good.jsonl
expect 0 firn import -q good --format jsonl good.jsonl
expect 0 firn scan good --format hex
expect_out '00ff\tc3a9f09f98800a2f\n'

# --- when values expire ---
expect 0 firn put aging 'for a day' v --ttl 1d
expect 0 firn put aging 'for good' w
head -c 1500000 /dev/urandom | firn put aging large - --ttl 2d || fail 'a large value that expires'
printf 'long gone\tx\t1000\n' | firn import -q aging || fail 'import of what has expired'
firn export aging >aging.tsv
firn export aging --format jsonl >aging.jsonl
[ "$(wc -l <aging.tsv)" -eq 3 ] || fail 'what has expired is not exported'
[ "$(grep -c '	[0-9]*$' aging.tsv)" -eq 2 ] || fail 'two lines with a time'
[ "$(grep -c '"expires_at_ms":[0-9]*}$' aging.jsonl)" -eq 2 ] || fail 'two objects with a time'
firn import -q aged.1 aging.tsv || fail 'import with times'
firn import -q aged.2 --format jsonl aging.jsonl || fail 'import of jsonl with times'
for db in aged.1 aged.2; do
  firn export "$db" >aged.tsv
  same aging.tsv aged.tsv "times of expiry in $db"
done
firn get aging 'for a day' --with-expiry >times.1
firn get aged.2 'for a day' --with-expiry >times.2
same times.1 times.2 'a time to the millisecond'
echo '{"key":"k","expires_at_ms": 1000 ,"value":"v"}' | firn import -q aged.2 --format jsonl || fail 'members in any order'
expect 1 firn get aged.2 k

# --- long lines: one value of 3 MiB, every byte escaped ---
head -c 3145728 /dev/urandom >large
{ printf 'small\tv\nlarge\t'; od -An -v -tx1 large | sed 's/ /\\x/g' | tr -d '\n'; printf '\nz\tw\n'; } >long.tsv
expect 0 firn import -q long long.tsv
firn get long large >large.back || fail 'get of a long line'
same large large.back 'a line of 12 MiB'
firn export long | firn import -q long2 - || fail 'a long line through a pipe'
firn get long2 large >large.back
same large large.back 'a long line exported'

# --- files ---
mkdir -p tree/sub/deep 'tree/with space' tree/empty
printf 'hello' >tree/file
printf '\0\1\2' >tree/sub/deep/binary
: >tree/sub/zero
printf 'x' >'tree/with space/a name'
printf 'dash' >tree/sub-dash
ln -s file tree/link
mkfifo tree/pipe
expect 0 firn import files --files tree --ack files.ack
expect_err '5 files'
[ "$(($(cat files.ack)))" -eq 5 ] || fail 'five files were acknowledged'
expect 0 firn scan files --keys-only
expect_out 'file\nsub-dash\nsub/deep/binary\nsub/zero\nwith space/a name\n'
expect 0 firn get files sub/deep/binary
expect_out '\000\001\002'
expect 0 firn export files --files restored
(cd tree && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums.1
(cd restored && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums.2
same sums.1 sums.2 'files after a round trip'
expect 3 firn export files --files restored
expect_err 'not empty'
expect 0 firn import -q files --files tree/ --prefix 'p\t/'
expect 0 firn get files 'p\t/file'
expect_out 'hello'

# A database inside the tree does not swallow itself.
expect 0 firn import -q tree/db --files tree
expect 0 firn scan tree/db --keys-only
grep -q '^db/' out && fail 'the database imported its own files'
rm -rf tree/db

# Files that cannot be read are named and counted, the rest is there.
if [ "$(id -u)" -ne 0 ]; then
  chmod 000 tree/file
  expect 3 firn import part --files tree
  expect_err 'file: Permission denied, skipped'
  expect 0 firn get part sub-dash
fi

# Keys that are no paths stay out of the way, and nothing is written outside.
for key in /etc/evil ../evil a/../evil a//b . '' 'nul\0' a/ fine; do
  expect 0 firn put evil "$key" x
done
expect 0 firn put evil fine/below x
mkdir jail
expect 3 firn export evil --files jail/out
expect_err 'key ../evil: not a relative path, skipped'
expect_err '9 keys left out'
[ "$(find jail -type f)" = jail/out/fine ] || fail "export wrote $(find jail -type f | tr '\n' ' ')"

expect 2 firn import db tree
expect_err 'is a directory'
expect 3 firn import missing does-not-exist
[ ! -e missing ] || fail 'an import that has no input must not make a database'
expect 3 firn import missing --files does-not-exist
[ ! -e missing ] || fail 'an import that has no folder must not make a database'
expect 2 firn import db --files tree --format tsv
expect 2 firn import db --prefix x numbers
expect 3 firn import db numbers --ack no/such/folder
echo "ok"
