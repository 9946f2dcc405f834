#!/usr/bin/env python3
"""Keeps the folders of src/ in the order of src/LAYERS.

A file includes its own folder, strictly lower floors and include/firn/. What stands above the
library (cli, server, bench, examples) sees it through <firn/...> and floors 0 to 2. Only the floor
"platform" may include the operating system's headers. A .c file includes its own header first.

Exits 0 when all is well; otherwise prints one line per violation. --self-test proves that each
rule can fail.
"""

import sys
from pathlib import Path, PurePosixPath

import csource

ABOVE = ("cli", "server", "bench", "examples")
HIGHEST_FLOOR_ABOVE_SEES = 2
# These measure parts of the library, and see all of it, as its tests do.
INSIDE = (("bench", "micro"),)
# Folders on floor 0 and 1 that may name these; everyone else goes through platform/.
OS_HEADERS_ALLOWED = ("platform",)
OS_HEADERS = {
    "aio.h", "dirent.h", "dlfcn.h", "fcntl.h", "ftw.h", "glob.h", "libgen.h", "poll.h", "pthread.h",
    "pwd.h", "sched.h", "semaphore.h", "signal.h", "spawn.h", "syslog.h", "termios.h", "time.h",
    "unistd.h", "utime.h",
}


def is_os_header(name):
    return name in OS_HEADERS or name.startswith(("sys/", "linux/", "asm/", "net/", "netinet/"))


def read_floors(text):
    floors = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words:
            for folder in words[1:]:
                floors[folder] = int(words[0])
    return floors


class Layers:
    def __init__(self, floors, exists):
        self.floors = floors
        self.exists = exists  # whether a path relative to the root is a file

    def check(self, source):
        """Yields (line, problem)."""
        parts = PurePosixPath(source.path).parts
        includes = list(source.includes())
        if parts[0] == "src":
            yield from self._check_library(source, parts, includes)
        elif parts[:2] == ("include", "firn"):
            yield from self._check_public(includes)
        elif parts[0] in ABOVE and parts[:2] not in INSIDE:
            yield from self._check_above(parts, includes)

    def _check_library(self, source, parts, includes):
        if len(parts) != 3:
            yield 1, "files of src/ live in src/<folder>/, folders are flat"
            return
        folder = parts[1]
        if folder not in self.floors:
            yield 1, f"folder {folder} is not in src/LAYERS"
            return
        yield from self._check_own_header_first(parts, includes)
        for line, kind, name in includes:
            target = name.split("/")[0]
            if kind == "system":
                if target == "firn":
                    yield line, f'write "{name}", not <{name}>, inside the library'
                elif is_os_header(name) and folder not in OS_HEADERS_ALLOWED:
                    yield line, f"includes <{name}>; only platform/ talks to the OS"
            elif target == "firn":
                yield from self._check_exists(line, f"include/{name}")
            elif target not in self.floors or "/" not in name:
                yield line, f'includes "{name}"; write paths from src/'
            else:
                yield from self._check_exists(line, f"src/{name}")
                yield from self._check_floors(line, folder, target, name)

    def _check_floors(self, line, folder, target, name):
        own, other = self.floors[folder], self.floors[target]
        if target != folder and other >= own:
            relation = "a sibling on the same floor" if other == own else "above it"
            yield line, f"floor {own} ({folder}) includes {name} of floor {other}, {relation}"

    def _check_own_header_first(self, parts, includes):
        path = PurePosixPath(*parts)
        header = f"{parts[1]}/{path.stem}.h"
        own = (header, f"{parts[1]}/{path.stem}_internal.h")
        if path.suffix == ".c" and self.exists(f"src/{header}"):
            if not includes or includes[0][2] not in own:
                yield 1, f'the first include must be its own header, "{header}"'

    def _check_exists(self, line, path):
        if not self.exists(path):
            yield line, f"includes {path}, which does not exist"

    def _check_public(self, includes):
        for line, kind, name in includes:
            if kind == "quoted" and not name.startswith("firn/"):
                yield line, f'a public header includes "{name}", which is not installed'
            elif kind == "system" and (is_os_header(name) or name.startswith("firn/")):
                yield line, f"a public header includes <{name}>"

    def _check_above(self, parts, includes):
        for line, kind, name in includes:
            target = name.split("/")[0]
            if target not in self.floors or "/" not in name or kind == "system":
                continue
            if parts[0] == "examples":
                yield line, f"an example includes {name}; examples use <firn/...> only"
            elif self.floors[target] > HIGHEST_FLOOR_ABOVE_SEES:
                yield line, (f"{parts[0]} includes {name} of floor {self.floors[target]}; it may "
                             f"use <firn/...> and floors 0 to {HIGHEST_FLOOR_ABOVE_SEES}")


SELF_TEST_FLOORS = "0 base\n1 platform\n2 util\n5 memtable record table\n8 db\n"
SELF_TEST_CASES = [
    # (path, text, number of violations)
    ("src/table/block.c", '#include "table/block.h"\n#include "util/buf.h"\n', 0),
    ("src/table/block.c", '#include "table/block.h"\n#include "db/db.h"\n', 1),
    ("src/table/block.c", '#include "table/block.h"\n#include "memtable/memtable.h"\n', 1),
    ("src/table/block.c", '#include "util/buf.h"\n#include "table/block.h"\n', 1),
    ("src/table/block.c", '#include "table/block.h"\n#include <unistd.h>\n', 1),
    ("src/table/block.c", '#include "table/block.h"\n#include "table/gone.h"\n', 1),
    ("src/table/block.c", '#include "table/block.h"\n#include "buf.h"\n', 1),
    ("src/table/block.c", '#include "table/block.h"\n/*\n#include is a word */\n', 0),
    ("src/platform/file.c", "#include <unistd.h>\n#include <sys/stat.h>\n", 0),
    ("src/base/check.c", '#include "util/buf.h"\n', 1),
    ("src/other/x.c", '#include "util/buf.h"\n', 1),
    ("include/firn/db.h", '#include "firn/slice.h"\n#include <stdint.h>\n', 0),
    ("include/firn/db.h", '#include "util/buf.h"\n', 1),
    ("cli/put.c", '#include <firn/firn.h>\n#include "util/buf.h"\n#include "put.h"\n', 0),
    ("cli/put.c", '#include "db/db.h"\n', 1),
    ("examples/a.c", '#include "util/buf.h"\n', 1),
]
SELF_TEST_FILES = {"src/table/block.h", "src/util/buf.h", "src/db/db.h",
                   "src/memtable/memtable.h", "include/firn/slice.h"}


def self_test():
    layers = Layers(read_floors(SELF_TEST_FLOORS), SELF_TEST_FILES.__contains__)
    failures = 0
    for path, text, expected in SELF_TEST_CASES:
        found = list(layers.check(csource.read(path, text)))
        if len(found) != expected:
            failures += 1
            print(f"self-test: {path} with {text!r}: expected {expected}, found {found}")
    return failures


def main():
    if "--self-test" in sys.argv[1:]:
        return 1 if self_test() else 0
    floors = read_floors((csource.ROOT / "src/LAYERS").read_text())
    layers = Layers(floors, lambda path: (csource.ROOT / path).is_file())
    failures = 0
    for path in csource.project_files(".c", ".h"):
        for line, problem in layers.check(csource.read(path)):
            failures += 1
            print(f"{path}:{line}: {problem}")
    for folder in sorted(p.name for p in Path(csource.ROOT / "src").iterdir() if p.is_dir()):
        if folder not in floors:
            failures += 1
            print(f"src/{folder}: not in src/LAYERS")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
