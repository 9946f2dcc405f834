#!/usr/bin/env bash
# stats, flush, sync, compact, verify, inspect on a database with some levels.
. "$(dirname "$0")/cli_lib.sh"

small=(-o memtable_bytes=64K -o file_bytes=64K -o level_base_bytes=256K)
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "%08d\t%0100d\n", (i * 7919) % 20000, i }' >records
expect 0 firn import -q "${small[@]}" db records
expect 0 firn sync db
expect 0 firn flush db
expect 0 firn stats db
grep -q 'tables  .* file' out || fail 'stats counts the tables'
grep -q '^  L[0-9] #' out || fail 'stats draws the levels'
expect 0 firn stats db --json
python3 - <<'P' || fail 'stats --json is not what it should be'
import json
stats = json.load(open("out"))
assert stats["last_sequence"] >= 20000, stats["last_sequence"]
assert stats["table_files"] == sum(level["files"] for level in stats["levels"])
assert stats["table_bytes"] > 1_000_000, stats["table_bytes"]
assert sum(level["entries"] for level in stats["levels"]) >= 20000
P
expect 0 firn verify db
expect_out "$(cat out)\n"
grep -q 'no problems' out || fail 'verify says that all is well'

# Deletes leave tombstones; a compaction takes both away.
awk -F '\t' '{ print "delete " $1 }' records | head -n 15000 >deletes
expect 0 firn shell "${small[@]}" db <deletes
expect 0 firn flush db
expect 0 firn compact "${small[@]}" db
expect_err 'before'
expect 0 firn stats db --json
python3 - <<'P' || fail 'a full compaction leaves no tombstones'
import json
stats = json.load(open("out"))
assert sum(level["tombstones"] for level in stats["levels"]) == 0, stats["levels"]
assert sum(level["entries"] for level in stats["levels"]) == 5000, stats["levels"]
P
tail -n 5000 records | sort >kept
firn export db >out
same kept out 'what was not deleted is there'
expect 0 firn compact db --from 00000100 --to 00000200
expect 0 firn verify db

# A session sees the work that goes on beside it, and may put it off.
awk 'BEGIN { for (i = 0; i < 30000; i++) printf "%08d\t%0100d\n", (i * 7919) % 30000, i }' |
  firn import -q -o memtable_bytes=256K -o l0_compaction_trigger=500 -o l0_slowdown_trigger=900 busy
mkfifo busy.in
firn shell -o background_rate_bytes=1M -o l0_compaction_trigger=2 --keep-going busy <busy.in >busy.out 2>busy.err &
cli_background+=($!)
exec 7>busy.in
shows_a_job() { echo 'stats' >&7; grep -q 'compaction *L0 to L[0-9]  .* of .*B, for' busy.out; }
wait_for 60 shows_a_job
shows_a_job_as_json() { echo 'stats --json' >&7; grep '^{' busy.out | grep -q '"jobs":\[{"name":"compaction","from_level":0'; }
wait_for 60 shows_a_job_as_json
printf 'pause\nput k v\nget k\nresume\nwait\nstats --json\nresume\n' >&7
exec 7>&-
code=0
wait "${cli_background[0]}" || code=$?
cli_background=()
[ "$code" -eq 3 ] || fail "what is not paused cannot be resumed, but the shell ends with $code"
grep -q 'resume: INVALID_ARGUMENT' busy.err || fail "resume says: $(cat busy.err)"
python3 - <<'P' || fail 'nothing is due after wait'
import json
stats = json.loads([line for line in open("busy.out") if line.startswith("{")][-1])
assert stats["jobs"] == [] and stats["levels"][0]["files"] < 2, stats
assert stats["snapshot_list"] == [], stats
P
expect 2 firn pause busy
expect_err 'only in firn shell'

# What is only in the log is checked too, and said to be; explain knows the size of large values.
head -c 2000000 /dev/zero >zeros
expect 0 firn put logged large --file zeros
expect 0 firn verify logged
grep -q '^0 B' out && fail 'verify counts what it read of the log'
expect 0 firn explain logged large
grep -q '2000000 bytes' out || fail 'explain shows the size of a large value'

# inspect knows each kind of file.
expect 0 firn put db one more
for file in db/*.wal db/*.sst db/MANIFEST-*; do
  [ -e "$file" ] || fail "there is no $file"
  expect 0 firn inspect "$file"
  [ -s out ] || fail "inspect $file says nothing"
done
(firn inspect "$(ls db/*.sst | head -n 1)" 2>err; echo "$?" >status) | head -n 1 >out
[ "$(cat status)" = 0 ] && [ ! -s err ] || fail 'inspect into head'

# One flipped byte is found, and the file named.
table=$(ls -S db/*.sst | head -n 1)
cp -r db broken
table=broken/${table#db/}
python3 - "$table" <<'P'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(1000)
    byte = f.read(1)[0]
    f.seek(1000)
    f.write(bytes([byte ^ 0x10]))
P
expect 3 firn verify broken
grep -q "${table#broken/}" out || fail 'verify names the damaged file'
expect_err 'problem'
expect 3 firn inspect "$table"
expect 3 firn export broken
expect_err 'CORRUPTION'
cp -r broken planned
expect 4 firn repair broken --plan
grep -q "^problem.*${table#broken/}" out || fail 'a plan names the damaged file'
grep -q '^loss.*lost are keys from' out || fail 'a plan says which keys are lost'
diff -r -x LOCK broken planned || fail 'a plan changes nothing'
expect 0 firn repair broken --json
python3 - <<'P' || fail 'repair --json is not what it should be'
import json
steps = [json.loads(line) for line in open("out")]
assert {step["kind"] for step in steps} == {"problem", "loss", "action"}, steps
loss = next(step for step in steps if step["kind"] == "loss")
assert loss["bytes"] > 0 and (loss.get("from") or loss.get("to")), loss
P
[ -e "broken/lost/repair-1/${table#broken/}" ] || fail 'the original is kept aside'
expect 0 firn verify broken
expect 0 firn repair broken
grep -q 'nothing is wrong' out || fail 'a second repair has nothing to do'
expect 0 firn export broken
[ "$(wc -l <out)" -gt 4000 ] || fail 'what is undamaged is there after a repair'
expect 0 firn verify db
echo "ok"
