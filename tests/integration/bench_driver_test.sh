#!/usr/bin/env bash
# firn-bench on Firn alone, small: every workload runs, verifies what it reads and says so in JSON;
# two rounds read the same values; what is wrong on the command line is refused.
set -euo pipefail
bench=$FIRN_BUILD/bin/firn-bench
[ -x "$bench" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "bench_driver: $*" >&2
  exit 1
}

steps=fillseq,readseq,readreverse,fillseqbatch,fillrandombatch,fillsync,fillrandom,overwrite,flush
steps+=,readrandom@2,readmissing,readhot,seekrandom,scanshort,readwhilewriting
steps+=,fillrandom@2,ycsb-a,ycsb-b,ycsb-c,ycsb-d,ycsb-e,ycsb-f@2,compact,fillrandom,delete99,scandeleted
steps+=,deleterandom,drain,recovery,bigvalues
"$bench" --engine=firn --num=3000 --rounds=2 --warmup=500 --trace-ms=10 --memtable=64K \
  --big-bytes=4M --recovery-bytes=1M --key-shape=user --dir=databases --json=out.json \
  --benchmarks="$steps" >text || { cat text; fail "the run failed"; }
grep -q '^2 .*scandeleted' text || fail "no line for the second round"
[ ! -e databases ] || fail "the databases were left behind"

python3 - "$steps" <<'PYTHON'
import json
import sys

document = json.load(open("out.json"))
names = document["config"]["benchmarks"]
assert len(names) == sys.argv[1].count(",") + 1 + 3, names  # bigvalues stands for four
results = document["results"]
assert len(results) == 2 * len(names), len(results)
rounds = [[r for r in results if r["round"] == n] for n in (1, 2)]
for first, second in zip(*rounds):
    name = first["benchmark"]
    assert first["operations"] == second["operations"] > 0, name
    assert first["found"] == second["found"], name
    assert first["checksum"] == second["checksum"], name
    assert first["seconds"] > 0, name
    for result in (first, second):
        for latency in (result.get("read_latency"), result.get("write_latency")):
            if latency:
                times = [latency[q] for q in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
                assert times == sorted(times), name
                assert latency["cdf"][-1][1] == 1, name


def one(name):
    return next(r for r in rounds[0] if r["benchmark"] == name)


assert one("fillseq")["user_bytes_written"] == 3000 * 116
assert one("readseq")["found"] == one("readreverse")["found"] == 3000
assert one("readseq")["checksum"] == one("readreverse")["checksum"]
assert one("readmissing")["found"] == 0
assert one("readrandom@2")["found"] == 3000 and one("readrandom@2")["threads"] == 2
assert one("readwhilewriting")["found"] == one("readwhilewriting")["operations"]
assert one("readwhilewriting")["write_latency"]["count"] > 0
assert one("delete99")["live_bytes"] == 30 * 116
assert one("deleterandom")["live_bytes"] == 0
assert one("recovery")["found"] == 1000
assert one("overwrite")["write_amplification"] > 1
assert document["engines"]["firn"]["version"]
assert "memtable_bytes=65536" in document["engines"]["firn"]["options"]
PYTHON

refused() {
  if "$bench" --num=100 --dir=refused "$@" >/dev/null 2>error; then
    fail "accepted: $*"
  fi
  [ "$(wc -l <error)" -ge 1 ] || fail "said nothing about: $*"
}
refused --engine=nosuch
refused --benchmarks=nosuch
refused --benchmarks=fillseq@0
refused --nosuch=1
refused --num=x
refused --key-bytes=8
refused --option=firn:nosuch=1
refused --benchmarks=readrandom # nothing to read
grep -q 'needs data' error || fail "no hint about the missing fill: $(cat error)"

"$bench" --engine=none --num=1000 --dir=none --benchmarks=fillrandom,readrandom,readseq >/dev/null ||
  fail "the engine that does nothing failed"
"$bench" --engine=firn --num=2000 --dir=time --duration=0.2 --benchmarks=fillseq,readrandom,ycsb-a \
  --rate=20000 --json=time.json >/dev/null
python3 - <<'PYTHON'
import json

for result in json.load(open("time.json"))["results"][1:]:
    assert result["free_running"], result
    assert 0.15 < result["seconds"] < 5, result["seconds"]
    assert result["operations"] < 20000 * (result["seconds"] + 0.1), result["operations"]
PYTHON
echo "bench_driver: ok"
