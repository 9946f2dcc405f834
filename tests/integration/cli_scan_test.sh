#!/usr/bin/env bash
# scan: order, bounds, formats, and pipes that close early.
. "$(dirname "$0")/cli_lib.sh"

printf 'a\t1\nab\t2\nb\t3\nba\t4\nc\t5\n' >records
expect 0 firn import -q db records

expect 0 firn scan db
expect_out 'a\t1\nab\t2\nb\t3\nba\t4\nc\t5\n'
expect 0 firn scan db --reverse
expect_out 'c\t5\nba\t4\nb\t3\nab\t2\na\t1\n'
expect 0 firn scan db --from ab --to ba
expect_out 'ab\t2\nb\t3\n'
expect 0 firn scan db --from=ab --to=ba --reverse --keys-only
expect_out 'b\nab\n'
expect 0 firn scan db --prefix b
expect_out 'b\t3\nba\t4\n'
expect 0 firn scan db -p b -n 1 -r
expect_out 'ba\t4\n'
expect 0 firn scan db --limit 0
expect_out ''
expect 0 firn scan db --from z
expect_out ''
expect 0 firn scan db --from c --to a
expect_out ''
expect 2 firn scan db --limit many
expect 2 firn scan db --limit -1
expect 2 firn scan db --format xml
expect_err 'text|json|hex|raw'

expect 0 firn put db '\xff\x00' '"quoted" \\ \n \x01'
expect 0 firn scan db --from '\xff' --format json
expect_out '{"key_b64":"/wA=","value":"\\"quoted\\" \\\\ \\n \\u0001"}\n'
expect 0 firn scan db --from '\xff' --format hex
expect_out 'ff00\t2271756f74656422205c200a2001\n'
expect 0 firn scan db --from '\xff' --format raw
expect_out '\377\000\t"quoted" \\ \n \001\n'
expect 0 firn scan db --from '\xff' --format text --keys-only
expect_out '\\xff\\0\n'

# A reader that has seen enough ends it quietly.
awk 'BEGIN { for (i = 0; i < 50000; i++) printf "%08d\t%s\n", i, "a value of some length" }' >many
expect 0 firn import -q big many
(firn scan big 2>err; echo "$?" >status) | head -n 1 >out
[ "$(cat out)" = "$(head -n 1 many)" ] || fail 'head got the first record'
[ "$(cat status)" = 0 ] || fail "scan into head ended with $(cat status)"
[ ! -s err ] || fail 'scan into head was not quiet'
firn scan big >out || fail 'scan of all'
same many out 'scan gives what was imported'
expect 0 firn scan big --reverse --limit 1
expect_out '00049999\ta value of some length\n'

# A full disk is not quiet.
if [ -e /dev/full ]; then
  firn scan big >/dev/full 2>err
  [ "$?" -eq 3 ] || fail 'scan to a full disk must fail with 3'
  expect_err 'standard output: No space left on device'
  firn get db a >/dev/full 2>err
  [ "$?" -eq 3 ] || fail 'get to a full disk must fail with 3'
fi
firn scan big >&- 2>err
[ "$?" -eq 3 ] || fail 'scan to a closed descriptor must fail with 3'
expect 0 firn verify big
echo "ok"
