"""Just enough reading of C for the checks of this folder: comments, functions, file-scope names.

It relies on the project's formatting (clang-format) and on files that compile; it is no parser.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*")"""
    r"""|(?P<char>'(?:\\.|[^'\\\n])*')""",
    re.S | re.X,
)


def project_files(*suffixes):
    """Tracked files and new ones that are not ignored, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    paths = sorted({Path(line) for line in listing})
    return [p for p in paths if (ROOT / p).is_file() and (not suffixes or p.suffix in suffixes)]


@dataclass
class Function:
    name: str
    is_static: bool
    parameters: int
    first_line: int
    last_line: int
    body: str  # without comments and literals, newlines kept
    body_line: int

    @property
    def lines(self):
        return self.last_line - self.first_line + 1


@dataclass
class Source:
    """One file, with three views of the same length: text, code (comments and literals blanked)
    and plain (preprocessor lines blanked as well)."""

    path: Path
    text: str
    code: str = ""
    plain: str = ""
    comment_lines: set = field(default_factory=set)
    functions: list = field(default_factory=list)
    static_variables: list = field(default_factory=list)  # (name, line)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def includes(self):
        """(line, "quoted" or "system", name) of each #include."""
        for number, line in enumerate(self.text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                yield number, "quoted" if match[1] == '"' else "system", match[2]


def _blank(match_text):
    return re.sub(r"[^\n]", " ", match_text)


def read(path, text=None):
    source = Source(Path(path), text if text is not None else (ROOT / path).read_text())

    def replace(match):
        if match.lastgroup == "comment":
            first = source.line_of(match.start())
            source.comment_lines.update(range(first, first + match[0].count("\n") + 1))
        return _blank(match[0])

    source.code = _TOKEN.sub(replace, source.text)
    source.plain = re.sub(
        r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: _blank(m[0]), source.code, flags=re.M)
    _scan_file_scope(source)
    return source


def _scan_file_scope(source):
    text = source.plain
    start = 0  # of the statement being read
    index = 0
    while index < len(text):
        c = text[index]
        if c == ";":
            _note_variable(source, text[start:index], start)
            start = index + 1
        elif c == "}":  # the end of an extern "C" block
            start = index + 1
        elif c == "{":
            header = text[start:index]
            if header.split() == ["extern"]:
                start = index + 1
                index += 1
                continue
            end = _matching_brace(text, index)
            if header.rstrip().endswith(")") and "=" not in header:
                _note_function(source, header, start, index, end)
                start = end + 1
            index = end
        index += 1


def _matching_brace(text, index):
    depth = 0
    for position in range(index, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(text) - 1


def _top_level_groups(header):
    """(identifier before it, inside) of each parenthesised group at depth 0."""
    depth = 0
    opened = 0
    for position, c in enumerate(header):
        if c == "(":
            if depth == 0:
                opened = position
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                before = re.search(r"(\w+)\s*$", header[:opened])
                yield before[1] if before else "", header[opened + 1:position]


def _note_function(source, header, start, open_brace, close_brace):
    groups = [g for g in _top_level_groups(header) if g[0] and g[0] != "__attribute__"]
    if not groups:
        return
    name, inside = groups[-1]
    depth = 0
    commas = 0
    for c in inside:
        depth += (c == "(") - (c == ")")
        commas += c == "," and depth == 0
    parameters = 0 if inside.strip() in ("", "void") else commas + 1
    first = start + len(header) - len(header.lstrip())
    source.functions.append(Function(
        name=name,
        is_static=re.search(r"\bstatic\b", header) is not None,
        parameters=parameters,
        first_line=source.line_of(first),
        last_line=source.line_of(close_brace),
        body=source.plain[open_brace:close_brace + 1],
        body_line=source.line_of(open_brace),
    ))


def _note_variable(source, statement, start):
    stripped = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", statement)
    if not re.match(r"\s*(?:\w+\s+)*?static\b", stripped):
        return
    declarator = stripped.split("=")[0]
    pointer = re.search(r"\(\s*\*\s*(\w+)", declarator)  # pointer to function
    if "(" in declarator and not pointer:
        return  # a prototype
    names = [pointer[1]] if pointer else re.findall(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", declarator)
    first = start + len(statement) - len(statement.lstrip())
    for name in names:
        source.static_variables.append((name, source.line_of(first)))
