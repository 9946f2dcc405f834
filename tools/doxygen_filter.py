#!/usr/bin/env python3
"""doxygen_filter.py FILE - prints a header with its plain comments as doxygen comments.

The first comment becomes the file's page (of firn.h, the main page); a comment at the end of a line
documents what stands before it, continued on the lines below; any other comment documents what
follows, except section rulers (/* --- writing --- */), which stay as they are. Indented lines after
an empty one are code.
"""

import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
CODE = re.compile(r"(?<=\n \*\n)((?: \*  +\S[^\n]*(?:\n|(?=\*/)))+)")


def mark_code(comment):
    return CODE.sub(lambda m: " * @code{.c}\n" + m[1] + " * @endcode\n", comment)


def mark_names(comment):
    return re.sub(r"`([^`\n]+)`", lambda m: f"<code>{m[1]}</code>", comment)


def convert(text):
    def replace(match):
        comment = match[0]
        start = match.start()
        before = text[text.rfind("\n", 0, start) + 1:start]
        if start == 0:
            name, _, rest = comment[2:-2].strip().partition(" - ")
            page = f"/** @file {name}\n * {rest} */"
            if name == "firn/firn.h":
                page = f"/** @mainpage Firn\n * {rest} */"
            return mark_code(page)
        if re.match(r"/\* --- (.*?) --- \*/", comment, re.S):
            return comment
        if before.strip():
            if re.match(r"\s*#\s*(?:define|endif|include)", before):
                return comment
            return "/**<" + comment[2:]
        return mark_code("/**" + comment[2:])

    return COMMENT.sub(lambda match: mark_names(replace(match)), text)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as header:
        sys.stdout.write(convert(header.read()))
