"""What a workbook says of its cells besides their values: how numbers are shown, formulas that were never worked out, comments, text boxes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET  # see books.py

from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.books import read_xml, tag_of
from intellirouter.roles.rag_manager.parsing.number_formats import BUILT_IN, Shown, shown
from intellirouter.roles.rag_manager.parsing.office import targets, value_of

Marks = Iterator[tuple[int, Mapping[int, Shown | str]]]
"""By row, from 0, what is to be said in some of its columns: how a number is shown, or a text in the value's place."""

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
        """See `Marks`."""
        part = self._parts.get(sheet, "")
        if part not in self._names:
            return
        number = -1
        with self._opened.open(part) as read:
            for _, row in ET.iterparse(read):  # noqa: S314 - see books.py
                if tag_of(row) != "row":
                    continue
                said = row.get("r", "")
                number = int(said) - 1 if said.isdecimal() else number + 1
                if found := dict(self._marked(row)):
                    yield number, found
                row.clear()

    def _marked(self, row: ET.Element) -> Iterator[tuple[int, Shown | str]]:
        column = -1
        for cell in row:
            column = _column(cell.get("r", ""), column + 1)
            style = self._styles.get(cell.get("s", ""))
            if style is not None and cell.get("t", "n") == "n":
                yield column, style
            formula, value = cell.find("{*}f"), cell.find("{*}v")
            if formula is not None and formula.text and (value is None or not value.text):
                yield column, f"={formula.text}"

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


def _styles(opened: zipfile.ZipFile) -> dict[str, Shown]:
    """By a cell's style, how its numbers are shown where that says more than the number."""
    root = read_xml(opened.read("xl/styles.xml"))
    codes: dict[int, str] = dict(BUILT_IN)
    for node in root.iterfind("{*}numFmts/{*}numFmt"):
        if (number := node.get("numFmtId", "")).isdecimal():
            codes[int(number)] = node.get("formatCode", "")
    found: dict[str, Shown] = {}
    for place, style in enumerate(root.iterfind("{*}cellXfs/{*}xf")):
        number = style.get("numFmtId", "")
        tell: Any = shown(codes.get(int(number), "")) if number.isdecimal() else None
        if tell is not None:
            found[str(place)] = tell
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


def _column(place: str, otherwise: int) -> int:
    """Of a cell called `AB12`, from 0."""
    letters = place.rstrip("0123456789")
    if not letters.isascii() or not letters.isalpha() or len(letters) > 3:
        return otherwise
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1
