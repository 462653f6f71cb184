"""What a workbook says of its cells besides their values: how numbers are shown, formulas that were never worked out, comments, text boxes."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import unescape
from typing import IO, Any
from xml.etree import ElementTree as ET  # see books.py

from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.books import read_xml, tag_of
from intellirouter.roles.rag_manager.parsing.number_formats import BUILT_IN, Shown, shown
from intellirouter.roles.rag_manager.parsing.office import targets, value_of

Marks = Iterator[tuple[int, Mapping[int, Shown | str]]]
"""By row, from 0, what is to be said in some of its columns: how a number is shown, or a text in the value's place."""

_STYLED = re.compile(
    rb'<(?:\w{1,20}:)?c\s(?=[^>]{0,400}\bs="(\d{1,6})")[^>]{0,400}?\br="([A-Z]{1,3})(\d{1,7})"'
)
_UNWORKED = re.compile(
    rb"<(?:\w{1,20}:)?c\s([^>]{0,400})><(?:\w{1,20}:)?f[^>]{0,400}>([^<]{1,8192})</(?:\w{1,20}:)?f>"
    rb"(?:<(?:\w{1,20}:)?v\s?/>|<(?:\w{1,20}:)?v></(?:\w{1,20}:)?v>)?</(?:\w{1,20}:)?c>"
)
"""A formula without a value: of a workbook that no spreadsheet has opened yet."""
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_PIECE, _LONGEST_ROW = 1 << 20, 16 << 20
_MOST_REPEATED = 10_000
"""Rows or columns that an OpenDocument cell stands for, as far as they are looked at."""


class Workbook:
    """An `.xlsx` beside its values."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self._names = set(opened.namelist())
        self._styles = _styles(opened) if "xl/styles.xml" in self._names else {}
        self._parts = _sheets(opened)

    def marks(self, sheet: str) -> Marks:
        """See `Marks`. Cells that do not say where they are have none."""
        part = self._parts.get(sheet, "")
        if part not in self._names:
            return
        with self._opened.open(part) as read:
            for rows in _whole_rows(read):
                yield from sorted(self._marked(rows).items())

    def _marked(self, rows: bytes) -> dict[int, dict[int, Shown | str]]:
        found: defaultdict[int, dict[int, Shown | str]] = defaultdict(dict)
        for cell in _STYLED.finditer(rows) if self._styles else ():
            if (style := self._styles.get(cell[1])) is not None:
                found[int(cell[3]) - 1][_column(cell[2])] = style
        for cell in _UNWORKED.finditer(rows):
            if (place := _PLACE.search(cell[1])) is not None:
                formula = unescape(cell[2].decode("utf-8", "replace"))
                found[int(place[2]) - 1][_column(place[1])] = f"={formula}"
        return found

    def remarks(self, sheet: str) -> Iterator[Block]:
        """Comments on cells, and what stands in text boxes."""
        part = self._parts.get(sheet, "")
        others = [other for other in targets(self._opened, part).values() if other in self._names]
        threads = [other for other in others if "threadedComment" in other]
        for other in threads or [other for other in others if "comments" in other]:
            for node in read_xml(self._opened.read(other)).iter():
                inner = {"comment": "t", "threadedComment": "text"}.get(tag_of(node))
                if inner and (text := _words(node, (inner,))):
                    yield Block(f"{node.get('ref', '')}: {text}", f"{sheet}, comments")
        for other in others:
            if "drawings/drawing" in other:
                for node in read_xml(self._opened.read(other)).iter():
                    if tag_of(node) == "txBody" and (text := _words(node, ("t",))):
                        yield Block(text, f"{sheet}, text boxes")


def of_opendocument(opened: zipfile.ZipFile) -> dict[str, list[tuple[int, dict[int, Shown | str]]]]:
    """By sheet, the percentages and sums of money of an `.ods` as they are shown."""
    found: dict[str, list[tuple[int, dict[int, Shown | str]]]] = {}
    rows: list[tuple[int, dict[int, Shown | str]]] = []
    number, cells = 0, list[ET.Element]()
    if not any(kind in opened.read("content.xml") for kind in (b'"percentage"', b'"currency"')):
        return found
    with opened.open("content.xml") as read:
        for event, node in ET.iterparse(read, ("start", "end")):  # noqa: S314 - see books.py
            tag = tag_of(node)
            if event == "start":
                if tag == "table":
                    rows, number = found.setdefault(_said(node, "name"), []), 0
            elif tag in ("table-cell", "covered-table-cell"):
                cells.append(node)
            elif tag == "table-row":
                repeated, marked = _repeated(node, "rows"), _as_shown(cells)
                if marked:
                    rows += [(number + place, marked) for place in range(min(repeated, _MOST_REPEATED))]
                number += repeated
                cells.clear()
                node.clear()
    return found


def _as_shown(cells: list[ET.Element]) -> dict[int, Shown | str]:
    column, found = 0, dict[int, Shown | str]()
    for cell in cells:
        repeated = _repeated(cell, "columns")
        if _said(cell, "value-type") in ("percentage", "currency") and (text := _words(cell, ("p",))):
            for place in range(column, column + min(repeated, _MOST_REPEATED)):
                found[place] = lambda _, text=text: text  # type: ignore[misc]
        column += repeated
    return found


def _said(node: ET.Element, name: str) -> str:
    return next((value for key, value in node.attrib.items() if key.endswith(f"}}{name}")), "")


def _repeated(node: ET.Element, what: str) -> int:
    said = _said(node, f"number-{what}-repeated")
    return int(said) if said.isdecimal() and len(said) < 9 else 1


def _words(node: ET.Element, tags: tuple[str, ...]) -> str:
    return " ".join("".join("".join(one.itertext()) for one in node.iter() if tag_of(one) in tags).split())


def _styles(opened: zipfile.ZipFile) -> dict[bytes, Shown]:
    """By a cell's style, how its numbers are shown where that says more than the number."""
    root = read_xml(opened.read("xl/styles.xml"))
    codes: dict[int, str] = dict(BUILT_IN)
    for node in root.iterfind("{*}numFmts/{*}numFmt"):
        if (number := node.get("numFmtId", "")).isdecimal():
            codes[int(number)] = node.get("formatCode", "")
    found: dict[bytes, Shown] = {}
    for place, style in enumerate(root.iterfind("{*}cellXfs/{*}xf")):
        number = style.get("numFmtId", "")
        tell: Any = shown(codes.get(int(number), "")) if number.isdecimal() else None
        if tell is not None:
            found[str(place).encode()] = tell
    return found


def _sheets(opened: zipfile.ZipFile) -> dict[str, str]:
    """By a sheet's name, the part it is in."""
    if "xl/workbook.xml" not in opened.namelist():
        return {}
    parts = targets(opened, "xl/workbook.xml")
    return {
        node.get("name", ""): parts.get(value_of(node, "id"), "")
        for node in read_xml(opened.read("xl/workbook.xml")).iterfind("{*}sheets/{*}sheet")
    }


def _whole_rows(read: IO[bytes]) -> Iterator[bytes]:
    """The sheet, some whole rows at a time."""
    held = b""
    while piece := read.read(_PIECE):
        held += piece
        end = held.rfind(b"row>") + 4
        if end > 3:
            yield held[:end]
            held = held[end:]
        elif len(held) > _LONGEST_ROW:
            return
    yield held


def _column(letters: bytes) -> int:
    """Of the cells called `AB…`, from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
