#!/usr/bin/env python3
"""amalgamate.py DIRECTORY - writes the whole engine as two files, firn.h and firn.c.

firn.h is the public headers in one; firn.c holds every source file of src/ in the order of the
floors, each internal header where it is first needed. Functions that cross files become static, the
builtin twins stand for the libraries, and the poison pragmas are dropped. Build with:

  cc -std=c11 -c firn.c && cc program.c firn.o -pthread
"""

import re
import sys
from pathlib import Path

import csource
from check_layers import read_floors

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)".*$')
DROPPED = {"base/poison.h"}
OVER_LIBRARIES = {"hash_xxhash", "codec_lz4", "codec_zstd", "codec_snappy"}


class Writer:
    def __init__(self, folder, is_inlined, header_text=None):
        self.folder = folder  # where names in #include "..." are looked up
        self.is_inlined = is_inlined
        self.done = set()
        self.lines = [header_text] if header_text else []

    def add(self, name):
        self.done.add(name)
        path = self.folder / name
        if not path.is_file():
            raise SystemExit(f"amalgamate.py: {path} does not exist")
        self.lines.append(f"/* ---- {name} ---- */")
        for line in path.read_text().rstrip("\n").split("\n"):
            match = INCLUDE.match(line)
            if not match:
                self.lines.append(line)
            elif self.is_inlined(match[1]) and match[1] not in self.done:
                self.add(match[1])
        self.lines.append("")

    def text(self):
        return "\n".join(self.lines)


def public_header(version):
    writer = Writer(csource.ROOT / "include", lambda name: True, (
        f"/* Firn {version}: the public API in one header. Generated from include/firn/;\n"
        " * licensed under the Apache License 2.0. */\n"))
    writer.add("firn/firn.h")
    return writer.text()


def sources():
    floors = read_floors((csource.ROOT / "src/LAYERS").read_text())
    folder_order = {folder: (floor, folder) for folder, floor in floors.items()}
    names = [p.relative_to("src") for p in csource.project_files(".c") if p.parts[0] == "src"]
    names = [n for n in names if n.stem not in OVER_LIBRARIES]
    return [n.as_posix() for n in sorted(names, key=lambda n: (folder_order[n.parts[0]], n.name))]


def implementation(version):
    writer = Writer(csource.ROOT / "src",
                    lambda name: name not in DROPPED and not name.startswith("firn/"), (
        f"/* Firn {version}: the whole engine in one file. Generated from src/; licensed under the\n"
        " * Apache License 2.0. Compile it as C11 and link with -pthread. */\n"
        "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n"
        '#include "firn.h"\n\n'
        "#define FIRN_INTERNAL static __attribute__((unused))\n"))
    for name in sources():
        writer.add(name)
    return writer.text()


def version():
    text = (csource.ROOT / "include/firn/version.h").read_text()
    return ".".join(re.findall(r"#define FIRN_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "firn.h").write_text(public_header(version()))
    (directory / "firn.c").write_text(implementation(version()))


if __name__ == "__main__":
    main()
