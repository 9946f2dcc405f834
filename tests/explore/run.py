#!/usr/bin/env python3
"""Explores the lock-free parts and reports: make explore.

  run.py [--quick] [--preemptions N] [--seconds S] [--seed N] [--build DIR] [part...]

Each part (parts/*.c) is compiled over the explorer's atomics, threads and heap, and searched to N
preemptions (3), then with random schedules for S seconds. Then every planted bug
(plants/*.txt) is built into a copy and must be found within a minute. --quick: two preemptions, no
more than a few seconds a scenario. Fails if anything is found in the code as it is, if a planted
bug is not found, or, unless --quick, if a search had to stop before its end or a planted bug does
not fit the code any more (`make check` tells that too)."""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import plants

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENGINE = ("choices", "threads", "model", "memory", "trace", "main")
PLANT_SECONDS_MAX = 60
# What a planted bug takes out may leave something unused.
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused"]


class Build:
    """Compiles parts into a folder; one compiler run per part and planted bug."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.cc = (os.environ.get("CMAKE_C_COMPILER_LAUNCHER", "") + " "
                   + os.environ.get("CC", "cc")).split()
        self.folder.mkdir(parents=True, exist_ok=True)

    def compile(self, source, target, includes, extra=()):
        folders = [f"-I{path}" for path in (*includes, HERE / "seams", HERE.parent, ROOT / "src",
                                            ROOT / "include")]
        command = [*self.cc, "-std=c11", "-D_GNU_SOURCE", "-g", *WARNINGS, *extra, *folders, "-c",
                   str(source.relative_to(HERE)), "-o", str(target)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
        if result.returncode:
            sys.exit(f"{source.name}: {' '.join(command)}\n{result.stderr}")

    def engine(self):
        for name in ENGINE:
            self.compile(HERE / f"{name}.c", self.folder / f"{name}.o", (), ["-O2"])

    def program(self, part, plant):
        """The part with one planted bug, or with none; -fsanitize=thread makes the compiler report
        plain accesses, to the explorer instead of that sanitizer's runtime."""
        name = f"{part}.{plant}" if plant else part
        overlay = self.folder / f"{name}.files"
        try:
            plants.write(HERE / "plants" / f"{part}.txt", overlay, plant)
        except plants.Misfit as misfit:
            if not plant:
                sys.exit(str(misfit))
            print(misfit, file=sys.stderr)
            return None
        unit, program = self.folder / f"{name}.o", self.folder / name
        self.compile(HERE / "parts" / f"{part}.c", unit, (overlay,),
                     ["-O1", "-fsanitize=thread", "-include", "explore_seam.h"])
        objects = [str(self.folder / f"{engine}.o") for engine in ENGINE]
        subprocess.run([*self.cc, "-o", str(program), str(unit), *objects], check=True)
        return program


def explore(program, arguments, seconds):
    """(output, whether it ended by itself, seconds it took)"""
    began = time.monotonic()
    try:
        result = subprocess.run([str(program), *map(str, arguments)], capture_output=True,
                                text=True, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(), None, time.monotonic() - began
    return result.stdout + result.stderr, result.returncode, time.monotonic() - began


def report_scenarios(part, output):
    """One row per scenario; whether all were searched to the end."""
    randomly = dict(re.findall(r"^([\w-]+): random=(\d+)", output, re.M))
    complete = True
    for name, facts in re.findall(r"^([\w-]+): (threads=.*)$", output, re.M):
        f = dict(fact.split("=") for fact in facts.split())
        complete &= f["complete"] == "yes"
        print(f"{part:10} {name:22} {f['threads']:>7} {f['preemptions']:>11} {f['old-reads']:>9} {f['schedules']:>10} "
              f"{f['states']:>9} {f['complete']:>8} {randomly.get(name, '-'):>9} {f['seconds']:>7}",
              flush=True)
    return complete


def report_plant(part, plant, output, code, seconds):
    failure = re.search(r"^([\w-]+): FAILED: (.*)$", output, re.M)
    found = code == 1 and failure and seconds <= PLANT_SECONDS_MAX
    what = f"found in {seconds:.2f} s: {failure[2]}" if found else "NOT FOUND"
    print(f"{part:10} {plant:32} {what}", flush=True)
    return bool(found)


def run_parts(parts, build, options):
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = {(part, plant): pool.submit(build.program, part, plant)
                for part in parts
                for plant in (None, *plants.names(HERE / "plants" / f"{part}.txt"))}
        programs = {key: job.result() for key, job in jobs.items()}
        arguments = ["--preemptions", options.preemptions, "--search-seconds", options.search,
                     "--random-seconds", options.seconds, "--seed", options.seed]
        print(f"seed {options.seed}\n\n{'part':10} {'scenario':22} {'threads':>7} "
              f"{'preemptions':>11} {'old reads':>9} {'schedules':>10} {'states':>9} {'complete':>8} "
              f"{'random':>9} {'seconds':>7}")
        clean = complete = True
        for part in parts:
            output, code, _ = explore(programs[part, None], arguments, None)
            complete &= report_scenarios(part, output)
            if code != 0:
                clean = False
                print(f"{part}: FAILED\n{output}")
        print(f"\n{'part':10} planted bug")
        searches = {key: pool.submit(explore, program, ["--preemptions", 3], PLANT_SECONDS_MAX)
                    for key, program in programs.items() if key[1] and program}
        found = [report_plant(*key, *search.result()) for key, search in searches.items()]
    misfits = list(programs.values()).count(None)
    print(f"\n{len(found)} planted bugs, {found.count(False)} not found"
          f"{f', {misfits} more do not fit the tree' if misfits else ''}; the code as it is: "
          f"{'clean' if clean else 'FAILED'}{'' if complete else ', search not complete'}")
    return clean and all(found) and (options.quick or complete and not misfits)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--preemptions", type=int)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--build", default=ROOT / "build" / "explore")
    options = parser.parse_args()
    known = sorted(path.stem for path in (HERE / "plants").glob("*.txt") if plants.is_wanted(path))
    if not set(options.parts) <= set(known):
        parser.error(f"parts are {', '.join(known)}")
    options.search = 2 if options.quick else 1800
    if options.preemptions is None:
        options.preemptions = 2 if options.quick else 3
    build = Build(options.build)
    build.engine()
    sys.exit(0 if run_parts(options.parts or known, build, options) else 1)


main()
