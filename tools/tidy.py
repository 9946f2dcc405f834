#!/usr/bin/env python3
"""tidy.py [--all] [-j N] - clang-tidy over the compile commands of build/clang.

Without --all: on the .c files that differ from the branch's base (FIRN_BASE, else where HEAD left
origin/main or main, else HEAD's parent), uncommitted ones included; a changed header stands for the
.c file beside it. Files that passed with the same text, headers and settings are not looked at
again.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import csource

BUILD = csource.ROOT / "build/clang"
PASSED = csource.ROOT / "build/tidy"
MODEL = "tools/tidy_model.h"
MODELLED = "src/platform/error_detail.c"  # defines what the model replaces


def git(*arguments):
    result = subprocess.run(["git", *arguments], cwd=csource.ROOT, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else None


def base_commit():
    if os.environ.get("FIRN_BASE"):
        return os.environ["FIRN_BASE"]
    head = git("rev-parse", "HEAD")
    for branch in ("origin/main", "main"):
        base = git("merge-base", "HEAD", branch)
        if base and base != head:
            return base
    return git("rev-parse", "--verify", "--quiet", "HEAD~1")


def changed_files():
    base = base_commit()
    if base is None:  # one commit, or none: everything is new
        return None
    listed = (git("diff", "--name-only", base) or "").splitlines()
    listed += (git("ls-files", "--others", "--exclude-standard") or "").splitlines()
    return set(listed)


def select(commands, everything):
    known = {os.path.relpath(c["file"], csource.ROOT) for c in commands}
    changed = None if everything else changed_files()
    if changed is None:
        return sorted(known)
    wanted = {f[:-2] + ".c" if f.endswith(".h") else f for f in changed}
    return sorted(known & wanted)


def fingerprint_of_headers():
    digest = hashlib.sha256()
    for name in (".clang-tidy", "tests/.clang-tidy"):
        digest.update((csource.ROOT / name).read_bytes())
    for path in csource.project_files(".h"):
        digest.update(path.as_posix().encode() + (csource.ROOT / path).read_bytes())
    return digest.digest()


def tidy(path, headers):
    digest = hashlib.sha256(headers + path.encode() + (csource.ROOT / path).read_bytes())
    stamp = PASSED / digest.hexdigest()
    if stamp.exists():
        return True
    command = ["clang-tidy", "--quiet", "-p", str(BUILD), path]
    if path.startswith("src/") and path != MODELLED:
        command += ["--extra-arg=-include", f"--extra-arg={csource.ROOT / MODEL}"]
    result = subprocess.run(command,
                            cwd=csource.ROOT, capture_output=True, text=True)
    if result.returncode == 0:
        stamp.touch()
        return True
    print(result.stdout.strip())
    if "error:" not in result.stdout:
        print(result.stderr.strip())
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    PASSED.mkdir(parents=True, exist_ok=True)
    headers = fingerprint_of_headers()
    paths = select(commands, arguments.all)
    with ThreadPoolExecutor(arguments.j) as pool:
        good = list(pool.map(lambda path: tidy(path, headers), paths))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
