#!/usr/bin/env python3
"""Holds the program in README.md equal to the example that the tests build and run.

`--fill` writes the example into the README instead of complaining."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- example:(\S+) -->\n```c\n)(.*?)(```\n)", re.S)


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    found = []

    def fill(match):
        found.append(match.group(2))
        return match.group(1) + (ROOT / match.group(2)).read_text() + match.group(4)

    filled = BLOCK.sub(fill, text)
    if not found:
        sys.exit("README.md: shows no example any more")
    if filled == text:
        return
    if "--fill" not in sys.argv[1:]:
        sys.exit(f"README.md: differs from {', '.join(found)}; run tools/check_readme.py --fill")
    readme.write_text(filled)


main()
