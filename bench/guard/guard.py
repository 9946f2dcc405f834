#!/usr/bin/env python3
"""guard.py - holds what the hot paths cost against the ranges in ranges.json.

  bench/guard/guard.py                  measures, prints a table, fails where a range is left
  bench/guard/guard.py --accept REASON  measures, and writes new ranges where one is left

Counted for one operation: instructions (callgrind, only inside the path), allocations, and read and
write calls. Times are not: they say more about the machine than about the code. A figure below its
range fails as well, so that a gain is kept by accepting it. Ranges are for x86-64, gcc as Debian 12
has it, the release build.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RANGES = Path(__file__).resolve().parent / "ranges.json"
PROGRAM = ROOT / "build/release/bin/firn-guard"
SLACK = {"instructions": 0.08, "allocations": 0.10, "io_calls": 0.10}
LEAST = {"instructions": 15.0, "allocations": 0.02, "io_calls": 0.02}


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"guard: {command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def measure_calls():
    """{path: {operations, allocations, io_calls}}, by the program itself."""
    with tempfile.TemporaryDirectory() as directory:
        lines = run([PROGRAM, directory]).split("\n")
    measured = {}
    for name, operations, allocations, io_calls in (line.split() for line in lines if line):
        count = int(operations)
        measured[name] = {"operations": count, "allocations": int(allocations) / count,
                          "io_calls": int(io_calls) / count}
    return measured


def measure_all():
    """The same under callgrind, which writes a profile whenever a measurement ends."""
    measured = measure_calls()
    with tempfile.TemporaryDirectory() as directory:
        database = Path(directory) / "db"
        database.mkdir()
        run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/profile",
             "--collect-atstart=no", "--toggle-collect=guard_path_*",
             "--dump-after=guard_measure", PROGRAM, database])
        profiles = sorted(Path(directory).glob("profile.*"),
                          key=lambda path: int(path.suffix.lstrip(".")))
        if len(profiles) != len(measured):
            sys.exit(f"guard: {len(profiles)} profiles of {len(measured)} paths")
        for name, profile in zip(measured, profiles):
            totals = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.M)
            if not totals:
                sys.exit(f"guard: no total in the profile of {name}")
            measured[name]["instructions"] = int(totals[1]) / measured[name]["operations"]
    return measured


def range_around(kind, value):
    slack = max(value * SLACK[kind], LEAST[kind])
    digits = 0 if kind == "instructions" else 3
    return [round(max(0.0, value - slack), digits), round(value + slack, digits)]


def judge(measured, ranges):
    """The rows of the table, and the (path, kind) that left their ranges."""
    left = []
    for name, figures in measured.items():
        row = [f"{name:20}"]
        for kind in SLACK:
            low, high = ranges.get(name, {}).get(kind, [1, 0])
            inside = low <= figures[kind] <= high
            if not inside:
                left.append((name, kind))
            row.append(f"{figures[kind]:9.2f} {'in' if inside else 'NOT IN'} {low:g}..{high:g}")
        print(row[0] + "".join(f"{cell:32}" for cell in row[1:]).rstrip())
    return left


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--accept", metavar="REASON",
                        help="write new ranges where a figure left its own, for this reason")
    arguments = parser.parse_args()
    if not PROGRAM.exists():
        sys.exit("guard: build first (make guard does)")
    document = json.loads(RANGES.read_text()) if RANGES.exists() else {"ranges": {}, "reasons": []}
    measured = measure_all()
    print(f"{'per operation':20}" + "".join(f"{kind:>12}{'':20}" for kind in SLACK).rstrip())
    left = judge(measured, document["ranges"])
    if left and arguments.accept:
        for name, kind in left:
            document["ranges"].setdefault(name, {})[kind] = range_around(kind, measured[name][kind])
        document["reasons"].append(
            {"reason": arguments.accept, "changed": [f"{name} {kind}" for name, kind in left]})
        RANGES.write_text(json.dumps(document, indent=1) + "\n")
        print(f"guard: {len(left)} ranges changed in {RANGES.relative_to(ROOT)}")
        return 0
    for name, kind in left:
        print(f"guard: {name}: {kind} left its range; if that is meant: "
              f"bench/guard/guard.py --accept 'why'", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
