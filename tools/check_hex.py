#!/usr/bin/env python3
"""check_hex.py - the worked hex of docs/format is what the golden files hold.

A section's hex lines belong to the last tests/golden/data/FILE that was named in it; where it names
none, a test holds the bytes itself. '|' and '...' are marks for the reader, two blanks end the bytes.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINE = re.compile(r"^([0-9a-f]{8})  ((?:[0-9a-f]{2}[ |]?)+)")


def check(document):
    problems, data, compared = [], None, 0
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if line.startswith("## "):
            data = None
        named = re.findall(r"tests/golden/data/\w+(?:\.\w+)?", line)
        if named:
            data = (ROOT / named[-1]).read_bytes()
        match = LINE.match(line)
        if not match or data is None:
            continue
        offset = int(match.group(1), 16)
        text = re.split(r"  |\.\.\.", line[10:])[0].replace("|", " ")
        shown = bytes.fromhex(text)
        if data[offset : offset + len(shown)] != shown:
            problems.append(f"{document.relative_to(ROOT)}:{number}: not what the golden file holds")
        compared += len(shown)
    return problems, compared


def main():
    problems, compared = [], 0
    for document in sorted((ROOT / "docs/format").glob("*.md")):
        found, count = check(document)
        problems += found
        compared += count
    if not compared:
        problems.append("docs/format: no hex was found")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
