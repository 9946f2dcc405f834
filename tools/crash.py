#!/usr/bin/env python3
"""The deep crash sweep: seed after seed, every crash after every file operation, until enough.

  crash.py [--seed N] [--states N] [--seconds N] [--fresh] PROGRAM

PROGRAM is the quick sweep's; each seed is one run of it with FIRN_CRASH_FULL=1. What was done is
kept in build/crash/state.json after each seed, so that a run that was stopped goes on where it was
with the same command; --fresh (or another --seed) begins anew. Ends with the table of states by
kind of operation and mode, over all seeds, and fails if a cell of it is empty or a run failed.
FIRN_CRASH_FULL=0 in the environment makes the runs the quick ones.
"""
import argparse
import json
import os
import subprocess
import sys
import time

STATE = "build/crash/state.json"
COUNTS = ("batches", "log_segments", "manifests", "flushes", "compactions", "recoveries", "reused",
          "read_only_opens", "late_opens", "second_crashes")


def load(first_seed, fresh):
    try:
        with open(STATE, encoding="utf-8") as file:
            state = json.load(file)
    except (OSError, ValueError):
        state = None
    if fresh or not state or state["first_seed"] != first_seed or state["failed_seed"] is not None:
        state = {"first_seed": first_seed, "next_seed": first_seed, "seconds": 0.0,
                 "failed_seed": None, "counts": dict.fromkeys(COUNTS, 0), "kinds": {}}
    return state


def save(state):
    os.makedirs(os.path.dirname(STATE), exist_ok=True)
    with open(STATE + ".tmp", "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    os.replace(STATE + ".tmp", STATE)


def merge(state, line):
    for name in COUNTS:
        state["counts"][name] += line[name]
    for kind, cells in line["kinds"].items():
        known = state["kinds"].setdefault(kind, {"operations": 0})
        for mode, value in cells.items():
            if mode == "operations":
                known[mode] += value
            else:
                old = known.get(mode, [0, 0])
                known[mode] = [old[0] + value[0], old[1] + value[1]]


def totals(state):
    tried = distinct = 0
    for cells in state["kinds"].values():
        for mode, value in cells.items():
            if mode != "operations":
                tried += value[0]
                distinct += value[1]
    return tried, distinct


def run_seed(state, program):
    """One seed. False: it failed; its output is left in build/crash."""
    seed = state["next_seed"]
    report = "build/crash/seed.jsonl"
    log = "build/crash/seed.log"
    os.makedirs("build/crash", exist_ok=True)
    if os.path.exists(report):
        os.remove(report)
    environment = dict(os.environ, FIRN_CRASH_SEED=str(seed), FIRN_CRASH_REPORT=report)
    environment.setdefault("FIRN_CRASH_FULL", "1")
    started = time.monotonic()
    with open(log, "w", encoding="utf-8") as output:
        code = subprocess.run([program], env=environment, stdout=output,
                              stderr=subprocess.STDOUT, check=False).returncode
    state["seconds"] += time.monotonic() - started
    if code != 0:
        state["failed_seed"] = seed
        save(state)
        kept = f"build/crash/failed-{seed}.log"
        os.replace(log, kept)
        with open(kept, encoding="utf-8", errors="replace") as output:
            sys.stderr.write("".join(output.readlines()[-30:]))
        print(f"crash: seed {seed} FAILED, see {kept}; again with\n"
              f"  FIRN_CRASH_FULL=1 FIRN_CRASH_SEED={seed} {program}", file=sys.stderr)
        return False
    with open(report, encoding="utf-8") as lines:
        for line in lines:
            merge(state, json.loads(line))
    state["next_seed"] = seed + 1
    save(state)
    return True


def print_table(state):
    modes = sorted({mode for cells in state["kinds"].values() for mode in cells} - {"operations"},
                   key=lambda mode: list(next(iter(state["kinds"].values()))).index(mode))
    print(f"{'operation':19}{'done':>9}" + "".join(f"{mode:>15}" for mode in modes))
    empty = 0
    for kind, cells in sorted(state["kinds"].items()):
        row = [cells.get(mode, [0, 0]) for mode in modes]
        empty += sum(cell[0] == 0 for cell in row)
        print(f"{kind:19}{cells['operations']:>9}" +
              "".join(f"{cell[0]:>8}/{cell[1]:<6}" for cell in row))
    return empty


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--states", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("program")
    given = parser.parse_args()
    wanted = given.states or (0 if given.seconds else 100000)
    state = load(given.seed, given.fresh)
    print(f"crash: seeds from {given.seed}, the next is {state['next_seed']}", flush=True)
    started = time.monotonic()
    while True:
        tried, distinct = totals(state)
        spent = time.monotonic() - started
        if (wanted and distinct >= wanted) or (given.seconds and spent >= given.seconds):
            break
        if not run_seed(state, given.program):
            return 1
        tried, distinct = totals(state)
        print(f"crash: seed {state['next_seed'] - 1} done; {tried} states tried, {distinct} "
              f"distinct, {state['seconds']:.0f} s in all", flush=True)
    empty = print_table(state)
    tried, distinct = totals(state)
    print(f"{tried} states tried, {distinct} distinct, seeds {state['first_seed']} to "
          f"{state['next_seed'] - 1}, {state['seconds']:.0f} s; " +
          ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in state["counts"].items()))
    if empty:
        print(f"crash: {empty} cells of the table are empty", file=sys.stderr)
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
