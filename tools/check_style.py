#!/usr/bin/env python3
"""Checks the conventions a compiler does not know.

Fails on: `return` between the first TRY and `out:`, other than `return STATUS_OK;` right before it;
atomics outside base/atomic.h; a memory order weaker than seq_cst without a comment on its line or
the three before (or one comment that begins "relaxed throughout this file"); a .c file above floor
1 that does not end its includes with base/poison.h; static names used twice in the library; macros
that leak from a .c file; left-over notes to self; absolute home paths; links in .md files that lead
nowhere.

Lists, as a place to look (exceptions have reasons): functions over 70 lines or 5 parameters, files
over 600 lines, library files without a unit test. --self-test proves that each rule can fail;
--sizes prints the list, otherwise only its length is shown.
"""

import re
import sys
from pathlib import Path

import csource
from check_layers import read_floors

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
PARAMETERS_MAX = 5

BARE_ATOMIC = re.compile(
    r"\b_Atomic\b|<stdatomic\.h>|\b__(?:atomic|sync)_\w+"
    r"|\batomic_(?:init|load|store|exchange|compare_exchange_\w+|fetch_\w+|thread_fence"
    r"|signal_fence|flag_\w+)(?:_explicit)?\s*\(")
WEAK_ORDER = re.compile(r"\bmemory_order_(relaxed|consume|acquire|release|acq_rel)\b")
# Spelled in pieces so that this file passes its own check.
LEFT_OVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
HOME_PATH = re.compile(r"(?<![\w./~}])/(?:home|root|Users|work)/\w")


def check_try(source):
    for function in source.functions:
        first_try = re.search(r"\bTRY\s*\(", function.body)
        label = re.search(r"^\s*out\s*:", function.body, re.M)
        if not first_try:
            continue
        if not label:
            yield (function.body_line + function.body.count("\n", 0, first_try.start()),
                   f"{function.name} uses TRY and has no `out:`")
            continue
        # Where `out:` only undoes, success leaves on the line before it; anything earlier may leak.
        success = re.search(r"\breturn\s+STATUS_OK\s*;\s*$", function.body[:label.start()])
        end = success.start() if success else label.start()
        for match in re.finditer(r"\breturn\b", function.body):
            if first_try.start() < match.start() < end:
                yield (function.body_line + function.body.count("\n", 0, match.start()),
                       f"{function.name} returns between TRY and `out:`")


def check_atomics(source):
    if source.path.as_posix() == "src/base/atomic.h":
        return
    for number, line in enumerate(source.code.splitlines(), 1):
        if BARE_ATOMIC.search(line):
            yield number, "bare atomic; use base/atomic.h"


def check_orders(source):
    if source.path.as_posix() == "src/base/atomic.h":
        return
    everywhere = set(re.findall(r"\b(relaxed|acquire|release|acq_rel) throughout this file",
                                source.text))
    explained = -10  # the last line whose order has a comment: a run of such lines shares one
    for number, line in enumerate(source.code.splitlines(), 1):
        orders = set(WEAK_ORDER.findall(line)) - everywhere
        if not orders:
            continue
        near = range(number - 3, number + 1)
        if any(n in source.comment_lines for n in near) or explained >= number - 2:
            explained = number
        else:
            yield number, "a memory order weaker than seq_cst needs a comment naming its partner"


def check_poison(source, floors):
    parts = source.path.parts
    if parts[0] != "src" or source.path.suffix != ".c" or floors.get(parts[1], 0) < 2:
        return
    includes = list(source.includes())
    if not includes or includes[-1][2] != "base/poison.h":
        yield 1, 'the last include must be "base/poison.h"'


def check_macros(source):
    if source.path.parts[0] != "src" or source.path.suffix != ".c":
        return
    defined = {}
    for number, line in enumerate(source.code.splitlines(), 1):
        define = re.match(r"\s*#\s*define\s+(\w+)", line)
        undef = re.match(r"\s*#\s*undef\s+(\w+)", line)
        if define:
            defined.setdefault(define[1], number)
        elif undef:
            defined.pop(undef[1], None)
    for name, number in defined.items():
        if not name.startswith("XXH_"):  # configuration read by the header included next
            yield number, f"macro {name} leaks; #undef it at the end of the file"


def check_words(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if LEFT_OVER.search(line):
            yield number, "left-over note: " + line.strip()
        if HOME_PATH.search(line):
            yield number, "absolute home path: " + line.strip()


def heading_anchor(heading):
    text = re.sub(r"`|\*|\[([^\]]*)\]\([^)]*\)", lambda m: m[1] or "", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def strip_fences(text):
    return re.sub(r"^(```|~~~).*?^\1", lambda m: re.sub(r"[^\n]", "", m[0]), text, flags=re.S | re.M)


def check_links(path, text, root=csource.ROOT):
    body = strip_fences(text)
    for match in re.finditer(r"(?<!\\)\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", body):
        number = body.count("\n", 0, match.start()) + 1
        target, _, anchor = match[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        base = root / target.lstrip("/") if target.startswith("/") else root / path.parent / target
        file = base if target else root / path
        if not file.exists():
            yield number, f"link to {target}, which does not exist"
        elif anchor and file.suffix == ".md":
            source = text if not target else file.read_text()
            headings = re.findall(r"^#+\s+(.*)$", strip_fences(source), re.M)
            if anchor not in map(heading_anchor, headings):
                yield number, f"link to {target}#{anchor}, which has no such heading"


class StaticNames:
    """Static functions and variables must differ across the library: firn.c holds them all."""

    def __init__(self):
        self.seen = {}

    def check(self, source):
        if source.path.parts[0] != "src":
            return
        names = [(f.name, f.first_line) for f in source.functions if f.is_static]
        for name, line in names + source.static_variables:
            first = self.seen.setdefault(name, source.path)
            if first != source.path:
                yield line, f"static name {name} is also in {first}"


def sizes(source):
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield 1, f"{lines} lines"
    for function in source.functions:
        if function.lines > FUNCTION_LINES_MAX:
            yield function.first_line, f"{function.name} has {function.lines} lines"
        if function.parameters > PARAMETERS_MAX:
            yield function.first_line, f"{function.name} has {function.parameters} parameters"


def untested(paths):
    known = {p.as_posix() for p in paths}
    for path in paths:
        if path.parts[0] == "src" and path.suffix == ".c":
            if f"tests/unit/{path.parts[1]}/{path.stem}_test.c" not in known:
                yield path, "no unit test at the mirrored path"


def check_source(source, floors, names):
    library = source.path.parts[0] in ("src", "include")
    yield from check_try(source)
    if library or source.path.parts[0] in ("cli", "server"):
        yield from check_atomics(source)
        yield from check_orders(source)
    yield from check_poison(source, floors)
    yield from check_macros(source)
    yield from names.check(source)


SELF_TEST_CASES = [
    # (path, text, number of violations)
    ("src/base/a.c", "status f(void) {\n    TRY(g());\nout:\n    return st;\n}\n", 0),
    ("src/base/a.c", "status f(void) {\n    TRY(g());\n    return st;\nout:\n    return st;\n}\n", 1),
    ("src/base/a.c", "status f(void) {\n    TRY(g());\n    return STATUS_OK;\nout:\n    return st;\n}\n", 0),
    ("src/base/a.c", "status f(void) {\n    TRY(g());\n    if (x)\n        return STATUS_OK;\n    y();\n"
                     "out:\n    return st;\n}\n", 1),
    ("src/base/a.c", "status f(void) {\n    if (x)\n        return y;\n    TRY(g());\nout:\n"
                     "    return st;\n}\n", 0),
    ("src/base/a.c", "status f(void) {\n    TRY(g());\n    return st;\n}\n", 1),
    ("src/base/a.c", "static _Atomic(int) x;\n", 1),
    ("src/base/a.c", "void f(void) {\n    atomic_store_explicit(&x, 1, y);\n}\n", 1),
    ("src/base/a.c", "void f(void) {\n    atomic_u64_store(&x, 1, memory_order_seq_cst);\n}\n", 0),
    ("src/base/a.c", "void f(void) {\n    atomic_u64_store(&x, 1, memory_order_release);\n}\n", 1),
    ("src/base/a.c", "void f(void) {\n    /* release: pairs with g() */\n"
                     "    atomic_u64_store(&x, 1, memory_order_release);\n}\n", 0),
    ("src/base/a.c", "/* relaxed throughout this file: a counter */\n\n\n\n\nvoid f(void) {\n"
                     "    atomic_u64_store(&x, 1, memory_order_relaxed);\n\n\n\n"
                     "    atomic_u64_store(&x, 1, memory_order_release);\n}\n", 1),
    ("src/base/a.c", 'const char *f(void) {\n    return "memory_order_release";\n}\n', 0),
    ("src/util/a.c", '#include "util/a.h"\n#include "base/poison.h"\n', 0),
    ("src/util/a.c", '#include "util/a.h"\n', 1),
    ("src/base/a.c", "#define A 1\n", 1),
    ("src/base/a.c", "#define A 1\n#undef A\n", 0),
]
SELF_TEST_TEXTS = [
    (LEFT_OVER, "x = 1; /* TO" "DO later */", True),
    (LEFT_OVER, "mkdtemp(firn-XX" "XXXX)", False),
    (HOME_PATH, "see /ho" "me/me/x", True),
    (HOME_PATH, "path = here/home/x", False),
]


def self_test():
    failures = 0
    floors = {"base": 0, "util": 2}
    for path, text, expected in SELF_TEST_CASES:
        found = list(check_source(csource.read(path, text), floors, StaticNames()))
        if len(found) != expected:
            failures += 1
            print(f"self-test: {path} with {text!r}: expected {expected}, found {found}")
    for pattern, text, expected in SELF_TEST_TEXTS:
        if bool(pattern.search(text)) != expected:
            failures += 1
            print(f"self-test: {text!r}: expected {expected}")
    names = StaticNames()
    twice = [csource.read(p, "static int a_count;\nstatic void a_do(int x) {\n}\n")
             for p in ("src/base/a.c", "src/base/b.c")]
    if [len(list(names.check(source))) for source in twice] != [0, 2]:
        failures += 1
        print("self-test: a static name used twice was not found")
    here = Path("tools/x.md")
    if len(list(check_links(here, "[a](check_style.py) [b](gone.md) [c](https://x.y/z)"))) != 1:
        failures += 1
        print("self-test: a dead link was not found")
    return failures


def main():
    if "--self-test" in sys.argv[1:]:
        return 1 if self_test() else 0
    floors = read_floors((csource.ROOT / "src/LAYERS").read_text())
    names = StaticNames()
    problems = []
    remarks = []
    files = csource.project_files()
    for path in files:
        if path.name == "LICENSE" or path.parts[:2] in (("tests", "golden"), ("fuzz", "corpus")):
            continue
        try:
            text = (csource.ROOT / path).read_text()
        except UnicodeDecodeError:
            continue
        problems += [(path, *p) for p in check_words(path, text)]
        if path.suffix in (".c", ".h"):
            source = csource.read(path, text)
            problems += [(path, *p) for p in check_source(source, floors, names)]
            remarks += [(path, *r) for r in sizes(source)]
        elif path.suffix == ".md":
            problems += [(path, *p) for p in check_links(path, text)]
    remarks += [(path, 1, remark) for path, remark in untested(files)]

    for path, line, problem in problems:
        print(f"{path}:{line}: {problem}")
    if "--sizes" in sys.argv[1:]:
        for path, line, remark in remarks:
            print(f"{path}:{line}: note: {remark}")
    elif remarks:
        print(f"{len(remarks)} notes on sizes and missing unit tests: tools/check_style.py --sizes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
