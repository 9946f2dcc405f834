#!/usr/bin/env python3
"""Production files as the explorer compiles them.

A file of plants lists changes, each under a heading in brackets. Those under [always] make sizes
small enough to explore, or take out what decides nothing, and are in every build; each other
heading is one planted bug. A change is

    file: memtable/skiplist.c
    - lines as they stand in the file, exactly once; spaces at both ends do not count
    + what takes their place

Text before the first `file:` says what the bug is. A heading that comes again is another way to plant
the same bug, for when the first does not fit. A line `needs: file` at the top leaves the part out
of trees that have no such file."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


class Misfit(Exception):
    """The tree has changed where a plant would change it."""


def is_wanted(path):
    needs = re.match(r"needs: (\S+)", Path(path).read_text())
    return not needs or (SOURCE / needs[1]).exists()


def read(path):
    """heading -> ways to plant it, each a list of (file, old lines, new lines)"""
    plants, name, file, old, new = {}, None, None, [], []

    def finish_change():
        nonlocal old, new
        if old or new:
            plants[name][-1].append((file, old, new))
        old, new = [], []

    for line in Path(path).read_text().splitlines():
        heading = re.fullmatch(r"\[([\w-]+)\]", line)
        if heading:
            finish_change()
            name = heading[1]
            plants.setdefault(name, []).append([])
        elif line.startswith("file: "):
            finish_change()
            file = line[len("file: "):]
        elif line.startswith("-"):
            if new:
                finish_change()
            old.append(line[1:].strip())
        elif line.startswith("+"):
            new.append(line[2:])
    finish_change()
    return plants


def names(path):
    return [name for name in read(path) if name != "always"]


def change(text, old, new, where):
    lines = text.splitlines()
    bare = [line.strip() for line in lines]
    places = [i for i in range(len(lines)) if bare[i:i + len(old)] == old]
    if len(places) != 1:
        raise Misfit(f"{where}: these lines stand there {len(places)} times, not once: {old}")
    lines[places[0]:places[0] + len(old)] = new
    return "\n".join(lines) + "\n"


def changed_files(changes, where):
    """file -> its text with the changes made"""
    texts = {}
    for file, old, new in changes:
        text = texts.get(file) or (SOURCE / file).read_text()
        texts[file] = change(text, old, new, f"{where}: {file}")
    return texts


def write(path, folder, plant):
    """Puts the changed files under `folder`; the include path finds them before those of src."""
    plants = read(path)
    always = plants.get("always", [[]])[0]
    misfit = None
    for way in plants[plant] if plant else [[]]:
        try:
            texts = changed_files(always + way, f"{Path(path).name} [{plant or 'always'}]")
            break
        except Misfit as this:
            misfit = misfit or this
    else:
        raise misfit
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file, text in texts.items():
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f'#line 1 "{file}"\n' + text)


def check():
    """Every plant still fits the tree: a second, where building them takes a minute."""
    count = misfits = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((Path(__file__).resolve().parent / "plants").glob("*.txt")):
            for plant in names(path) if is_wanted(path) else ():
                try:
                    write(path, Path(folder) / "files", plant)
                    count += 1
                except Misfit as misfit:
                    misfits += 1
                    print(misfit, file=sys.stderr)
    print(f"tests/explore: {count} planted bugs apply")
    sys.exit(1 if misfits else 0)


if __name__ == "__main__":
    check()
