#!/usr/bin/env python3
"""The evidence: runs what tries to break the engine and writes down what was tried and what came of
it, as one JSON file that anybody can make again.

  certify.py [--quick] [--build DIR] [--output DIR] [--seed N] [--states N] [--steps N]
             [--corruptions N] [--fuzz-seconds N] [--without PART,...]

Parts: crash (states by kind of operation and mode), sim (operations, faults, crashes), corruption
(damaged databases: read, verified, repaired), faults (failing calls, allocations, full disks),
mutants (planted bugs and whether they were caught), fuzz (seconds for each target). --quick does a
little of each and leaves out mutants and fuzz; it shows that the tools work, it proves nothing.

The programs are those of DIR (default build/deep). The report goes to
OUTPUT/certificate-COMMIT.json (default build/certify); the exit status is 1 when anything failed.
"""
import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time

PARTS = ("crash", "sim", "corruption", "faults", "mutants", "fuzz")
SIM_STEPS = 500000


def run(command, environment=None, echo=False):
    """(exit code, output, seconds)"""
    started = time.monotonic()
    done = subprocess.run(command, env=dict(os.environ, **(environment or {})), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          check=False)
    if echo or done.returncode != 0:
        sys.stderr.write(done.stdout[-4000:])
    return done.returncode, done.stdout, round(time.monotonic() - started, 1)


def git(*words):
    done = subprocess.run(["git", *words], text=True, capture_output=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def machine():
    processor = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    processor = line.split(":", 1)[1].strip()
                    break
    except OSError:
        pass
    return {"system": platform.platform(), "processor": processor, "cores": os.cpu_count()}


def certify_crash(given):
    command = [sys.executable, "tools/crash.py", "--seed", str(given.seed), "--states",
               str(given.states), f"{given.build}/tests/crash/quick_sweep_test"]
    environment = {"FIRN_CRASH_FULL": "0"} if given.quick else {}
    code, _, seconds = run(command, environment)
    with open("build/crash/state.json", encoding="utf-8") as file:
        state = json.load(file)
    cells = [(kind, mode, value) for kind, cells in state["kinds"].items()
             for mode, value in cells.items() if mode != "operations"]
    return {"passed": code == 0, "seconds": seconds,
            "seeds": [state["first_seed"], state["next_seed"] - 1],
            "states_tried": sum(cell[2][0] for cell in cells),
            "states_distinct": sum(cell[2][1] for cell in cells),
            "empty_cells": [f"{kind}, {mode}" for kind, mode, value in cells if value[0] == 0],
            "counts": state["counts"], "kinds": state["kinds"]}


def certify_sim(given):
    lives, passed, left, seed = [], True, given.steps, given.seed
    started = time.monotonic()
    while left > 0 and passed:
        steps = min(left, SIM_STEPS)
        code, output, _ = run([f"{given.build}/tests/sim/sim", "--seed", str(seed), "--steps",
                               str(steps)])
        passed = code == 0
        if passed:
            lives.append(json.loads(output.strip().splitlines()[-1]))
        left -= steps
        seed += 1
    totals = {}
    for life in lives:
        for name, value in life.items():
            if name not in ("seed", "seconds", "operations_per_second"):
                totals[name] = totals.get(name, 0) + value
    return {"passed": passed, "seconds": round(time.monotonic() - started, 1),
            "seeds": [given.seed, seed - 1], "totals": totals}


def test(given, name, environment=None):
    code, output, seconds = run([f"{given.build}/tests/integration/{name}"], environment)
    cases = sum(int(count) for count in re.findall(r"^(\d+) cases: ", output, re.M))
    return {"passed": code == 0, "seconds": seconds, "cases": cases,
            "output": [line for line in output.splitlines() if not line.startswith("[")][-40:]}


def certify_corruption(given):
    """Each program's cases grow with the scale; what one of scale 1 does tells which is needed."""
    parts, cases = {}, 0
    for name, share in (("crash_corruption_test", 0.8), ("repair_test", 0.2)):
        wanted = given.corruptions * share
        scale, done = (1.0, 0) if not given.quick else (0.05, 0)
        seed = given.seed
        runs = []
        while not runs or (done < wanted and runs[-1]["passed"]):
            result = test(given, name, {"FIRN_TEST_SCALE": str(scale), "FIRN_TEST_SEED": str(seed)})
            runs.append({key: result[key] for key in ("passed", "seconds", "cases")} |
                        {"seed": seed, "scale": scale})
            if result["cases"] == 0:
                break
            done += result["cases"]
            left = wanted - done
            if left > 0 and name == "crash_corruption_test":
                scale = max(1.0, scale * left / result["cases"] * 1.1)
            seed += 1
        cases += done
        parts[name] = {"cases": done, "runs": runs, "passed": all(r["passed"] for r in runs)}
    return {"passed": all(part["passed"] for part in parts.values()), "cases": cases,
            "programs": parts}


def certify_faults(given):
    names = ("fault_io_test", "fault_memory_test", "disk_full_test", "disk_full_real_test",
             "environment_test", "durability_modes_test")
    parts = {name: test(given, name) for name in names
             if os.path.exists(f"{given.build}/tests/integration/{name}")}
    return {"passed": all(part["passed"] for part in parts.values()), "programs": parts}


def certify_mutants(given):
    del given
    code, output, seconds = run(["tests/mutants/run.sh"])
    verdicts = dict(re.findall(r"^(\S+) +(SURVIVED|caught)", output, re.M))
    return {"passed": code == 0, "seconds": seconds, "planted": len(verdicts),
            "survived": sum(verdict != "caught" for verdict in verdicts.values()),
            "verdicts": verdicts}


def certify_fuzz(given):
    code, output, seconds = run(["make", "fuzz", f"SECONDS={given.fuzz_seconds}"])
    targets = re.findall(r"^fuzzing (\S+) for (\d+) s", output, re.M)
    return {"passed": code == 0, "seconds": seconds,
            "targets": {name: int(spent) for name, spent in targets}}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build", default="build/deep")
    parser.add_argument("--output", default="build/certify")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--states", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--corruptions", type=int)
    parser.add_argument("--fuzz-seconds", type=int, default=60)
    parser.add_argument("--without", default="")
    given = parser.parse_args()
    given.states = given.states or (1 if given.quick else 100000)
    given.steps = given.steps or (2000 if given.quick else 4000000)
    given.corruptions = given.corruptions or (1 if given.quick else 20000)
    without = set(filter(None, given.without.split(",")))
    if given.quick:
        without |= {"mutants", "fuzz"}
    report = {"commit": git("rev-parse", "HEAD"),
              "clean": git("status", "--porcelain", "--untracked-files=no") == "",
              "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "quick": given.quick, "machine": machine(), "parts": {}}
    for part in PARTS:
        if part in without:
            continue
        print(f"certify: {part}", flush=True)
        report["parts"][part] = globals()[f"certify_{part}"](given)
        print(f"certify: {part} {'passed' if report['parts'][part]['passed'] else 'FAILED'}",
              flush=True)
    report["passed"] = all(part["passed"] for part in report["parts"].values())
    os.makedirs(given.output, exist_ok=True)
    path = f"{given.output}/certificate-{report['commit'][:12] or 'none'}.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    print(f"certify: {'passed' if report['passed'] else 'FAILED'}, {path}")
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
