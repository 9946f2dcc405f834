#!/usr/bin/env bash
# bench/compare on a few thousand keys, with the peers this build has: all engines read the same
# values, report and plots are written, and where results differ no ratio is given.
set -euo pipefail
bench=$FIRN_BUILD/bin/firn-bench
[ -x "$bench" ] || exit 77
source_dir=${FIRN_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export FIRN_BENCH=$bench TMPDIR=$work PYTHONDONTWRITEBYTECODE=1

fail() {
  echo "bench_compare: $*" >&2
  exit 1
}

engines=$("$bench" --help | sed -n 's/^Engines in this build: //p' |
  tr ' ' '\n' | grep -Ev '^(none|bare)$' | paste -sd,)
[ -n "$engines" ] || fail "no engines"
# With Firn as the only engine it is compared with itself, which proves less and breaks nothing.
"$source_dir/bench/compare" --tour --engines="$engines" --out=out --num=3000 --ops=1000 --warmup=100 \
  --rounds=2 --trace-ms=10 \
  --benchmarks=fillrandom,readseq,readrandom,readhot,seekrandom,ycsb-a >text 2>&1 || { cat text; fail "the comparison failed"; }
python3 - "$engines" <<'PYTHON'
import json
import sys

engines = sys.argv[1].split(",")
document = json.load(open("out/tour.json"))
assert list(document["engines"]) == engines
seen = {}
for result in document["results"]:
    key = result["position"]
    proof = (result["operations"], result["found"], result["checksum"])
    assert seen.setdefault(key, proof) == proof, (result["engine"], result["benchmark"])
for engine in document["engines"].values():
    assert len(engine["options"].splitlines()) > 1, engine
PYTHON
if grep -q 'differ' text out/report.md; then
  fail "the engines read different values"
fi
for plot in throughput latency amplification; do
  python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "out/tour-$plot.svg"
done
grep -q 'Options in effect' out/report.md || fail "the report lacks the options"

# One engine has read something else: its ratio must go, with the reason.
python3 - <<'PYTHON'
import copy
import json

document = json.load(open("out/tour.json"))
if list(document["engines"]) == ["firn"]:
    document["engines"]["twin"] = document["engines"]["firn"]
    twins = copy.deepcopy(document["results"])
    for twin in twins:
        twin["engine"] = "twin"
    document["results"] += twins
baseline = document["config"]["baseline"]
other = next(e for e in document["engines"] if e != baseline)
for result in document["results"]:
    if result["engine"] == other and result["benchmark"] == "readrandom" and result["round"] == 2:
        result["checksum"] = "0123456789abcdef"
json.dump(document, open("out/tour.json", "w"))
PYTHON
"$source_dir/bench/compare" --render out >text
grep '^| readrandom |' text | grep -q 'no ratio: differs' || fail "a ratio of different values"
grep -q 'No ratio, the results differ: .*readrandom: checksum: 0123456789abcdef' text ||
  fail "no reason for the missing ratio"
grep '^| readhot |' text | grep -q 'x\*\*' || fail "the other ratios have gone too"
echo "bench_compare: ok"
