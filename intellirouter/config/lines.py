"""On which line of a TOML file each key stands.

tomlkit keeps no positions, and an operator with forty lines of configuration wants one. This reads only the shape of
the file (headers, keys, brackets, strings); that it *is* TOML has been checked before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_KEY_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"\s*({_KEY_PART}(?:\s*\.\s*{_KEY_PART})*)\s*=")
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEY_PART}(?:\s*\.\s*{_KEY_PART})*)\s*\]\]?")
_PART = re.compile(_KEY_PART)
_TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|[\[\]{}]|#')


def key_lines(source: str) -> dict[Path, int]:
    """The 1-based line of every table, key and array of tables."""
    lines: dict[Path, int] = {}
    tables: dict[Path, int] = {}
    table: Path = ()
    for number, line in _logical_lines(source):
        if header := _HEADER.match(line):
            table = _resolve(_parts(header.group(2)), tables)
            if header.group(1) == "[[":
                tables[table] = tables.get(table, -1) + 1
                table = (*table, tables[table])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key.group(1))), number)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of `path`, or of the nearest table that holds it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def statement_lines(source: str) -> list[int]:
    """The 1-based lines on which a statement may begin."""
    return [number for number, _ in _logical_lines(source)]


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _resolve(parts: tuple[str, ...], tables: dict[Path, int]) -> Path:
    """A header below an array of tables means the array's last table."""
    path: Path = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        if path in tables and position < len(parts) - 1:
            path = (*path, tables[path])
    return path


def _logical_lines(source: str) -> Iterator[tuple[int, str]]:
    """Lines that start a statement: not inside a bracket or a multi-line string that an earlier line opened."""
    depth, quote = 0, ""
    for number, line in enumerate(source.splitlines(), 1):
        if not quote and depth == 0:
            yield number, line
            rest = line[match.end() :] if (match := _KEY.match(line)) else ""
        else:
            rest = line
        depth, quote = _scan(rest, depth, quote)


def _scan(text: str, depth: int, quote: str) -> tuple[int, str]:
    position = 0
    while position < len(text):
        if quote:
            end = text.find(quote, position)
            if end < 0:
                return depth, quote
            position, quote = end + 3, ""
            continue
        token = _TOKEN.search(text, position)
        if token is None or token.group() == "#":
            break
        if token.group() in ('"""', "'''"):
            quote = token.group()
        elif token.group() in "[{":
            depth += 1
        elif token.group() in "]}":
            depth -= 1
        position = token.end()
    return depth, quote
