#!/usr/bin/env bash
# The tool that makes the evidence report, on a very small scale.
set -euo pipefail
cd "$FIRN_SOURCE"
command -v python3 >/dev/null || exit 77
output=$(mktemp -d "${TMPDIR:-/tmp}/firn-certify-XXXXXX")
trap 'rm -rf "$output"' EXIT
tools/certify.py --quick --build "$FIRN_BUILD" --output "$output" --without crash,faults
python3 - "$output"/certificate-*.json <<'P'
import json
import sys
report = json.load(open(sys.argv[1]))
assert report["passed"] and report["quick"], report
assert report["parts"]["sim"]["totals"]["operations"] > 2000, report["parts"]["sim"]
assert report["parts"]["corruption"]["cases"] > 50, report["parts"]["corruption"]
assert report["machine"]["cores"] > 0 and report["date"], report
P
