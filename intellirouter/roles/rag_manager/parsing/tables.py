"""Tables row by row: a row reads as `column: value` pairs, so that it means something alone."""

from __future__ import annotations

import csv
import importlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import dropwhile
from typing import Any
from xml.etree import ElementTree as ET  # see books.py

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.books import archive
from intellirouter.roles.rag_manager.parsing.cells import Marks, Workbook, of_opendocument
from intellirouter.roles.rag_manager.parsing.charset import decode
from intellirouter.roles.rag_manager.parsing.grid import Merged, blocks
from intellirouter.roles.rag_manager.parsing.number_formats import Shown

_DELIMITERS = ",;\t|^~"
_SAMPLE_LINES = 50
MOST_ROWS = 2_000_000
MOST_COLUMNS = 16_384


def delimited(data: bytes, charset: str = "", delimiter: str = "") -> list[Block]:
    """The rows of comma-separated values, whatever separates them."""
    csv.field_size_limit(
        max(csv.field_size_limit(), len(data) + 1)
    )  # it is the process's: raised, never lowered
    text = decode(data, charset)
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # what a spreadsheet writes before them
        delimiter, text = first[4], rest
    delimiter = delimiter or _delimiter(text)
    rows: Iterator[list[str]]
    if _never_closed(text, delimiter):
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    elif re.search(rf'\\"(?![{re.escape(delimiter)}\r\n]|\Z)', text):  # as databases write them
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, escapechar="\\")
    else:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return list(blocks(_bounded(rows), ""))


def _never_closed(text: str, delimiter: str) -> bool:
    """A quotation mark begins what goes on to the end: of a list whose marks mean nothing, as inches or in tab-separated values."""
    if text.count('"') % 2 == 0:
        return False
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def workbook(data: bytes, suffix: str) -> list[Block]:
    """The sheets of a spreadsheet, hidden ones too."""
    try:
        calamine: Any = importlib.import_module("python_calamine")
    except ImportError as cause:
        raise UnsupportedMediaType(
            f"Reading {suffix} needs the office extra: pip install 'intellirouter[office]'."
        ) from cause
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except calamine.PasswordError as cause:
        raise UnsupportedMediaType("is encrypted: it opens with a password only") from cause
    except calamine.CalamineError as cause:
        raise UnsupportedMediaType(
            f"is no spreadsheet that can be read, despite its name ({suffix})."
        ) from cause
    beside = _beside(data, suffix)
    found: list[Block] = []
    for name in book.sheet_names:
        try:
            sheet = book.get_sheet_by_name(name)
            rows = sheet.iter_rows()
        except calamine.CalamineError:  # a sheet that is a chart
            continue
        first = (sheet.start or (0, 0))[1]
        found += blocks(_bounded(_told(rows, beside.marks(name), first)), name, _merged(sheet))
        found += beside.remarks(name)
    return found


class _Beside:
    """What a workbook of another format says of its cells: nothing that is read."""

    def __init__(self, marked: Mapping[str, list[tuple[int, dict[int, Shown | str]]]]) -> None:
        self._marked = marked

    def marks(self, sheet: str) -> Marks:
        """See `cells.Marks`."""
        return iter(self._marked.get(sheet, ()))

    def remarks(self, sheet: str) -> Iterator[Block]:
        """None."""
        del sheet
        return iter(())


def _beside(data: bytes, suffix: str) -> Workbook | _Beside:
    if not data.startswith(b"PK") or suffix not in (".xlsx", ".xlsm", ".ods"):
        return _Beside({})
    opened = archive(data, f"Office document ({suffix})")
    names = opened.namelist()
    if "xl/workbook.xml" in names:
        return Workbook(opened)
    return _Beside(of_opendocument(opened) if "content.xml" in names else {})


def _told(rows: Iterable[Sequence[object]], marks: Marks, first: int) -> Iterator[list[str]]:
    """The rows as text; `first` is the column that they begin with."""
    held = next(marks, None)
    for number, row in enumerate(rows):
        while held is not None and held[0] < number:
            held = next(marks, None)
        marked = held[1] if held is not None and held[0] == number else {}
        yield [_cell(cell, marked.get(place)) for place, cell in enumerate(row, first)]


def _merged(sheet: Any) -> list[Merged]:
    """Cells that are one, where this version of the reader and the format tell; a row begins with the first column that has anything."""
    first = (sheet.start or (0, 0))[1]
    found = getattr(sheet, "merged_cell_ranges", None) or ()
    return [
        ((top, left - first), (bottom, right - first))
        for (top, left), (bottom, right) in found
        if left >= first
    ]


def sheet_xml(book: ET.Element) -> list[Block]:
    """The sheets of a spreadsheet in Microsoft's XML of 2003."""
    found: list[Block] = []
    for sheet in book.iterfind("{*}Worksheet"):
        name = next((value for key, value in sheet.attrib.items() if key.endswith("}Name")), "")
        found += blocks(_bounded(_xml_cells(row) for row in sheet.iterfind("{*}Table/{*}Row")), name)
    return found


def _bounded(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise UnsupportedMediaType(f"has more than {MOST_ROWS:,} rows")
        yield row


def _xml_cells(row: ET.Element) -> list[str]:
    cells: list[str] = []
    for cell in row.iterfind("{*}Cell"):
        place = next((value for key, value in cell.attrib.items() if key.endswith("}Index")), "")
        if place.isdigit() and len(cells) < int(place) <= MOST_COLUMNS:
            cells += [""] * (int(place) - 1 - len(cells))
        cells.append("".join(cell.itertext()).strip())
    return cells


def _cell(value: object, mark: Shown | str | None = None) -> str:
    if isinstance(mark, str):
        return mark if value == "" else _cell(value)
    if mark is not None and isinstance(value, int | float) and not isinstance(value, bool):
        return mark(value)
    if isinstance(value, timedelta):  # hours may be more than a day has
        minutes, seconds = divmod(abs(int(value.total_seconds())), 60)
        return f"{'-' if value < timedelta() else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _delimiter(text: str) -> str:
    """What cuts the first lines into the same number of pieces, most of all into several."""
    lines = [line for line in text[: 1 << 16].splitlines() if line.strip()][:_SAMPLE_LINES]

    def fit(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        count = len(widths)
        if widths and widths[0] < 2:  # lines of text with a comma here and there, or a title above a table
            widths = list(dropwhile(lambda width: width < 2, widths))
            if len(widths) < 2 or len(set(widths)) > 1:
                return (0.0, 0)
        if not widths:
            return (0.0, 0)
        width, alike = Counter(widths).most_common(1)[0]
        return (round(alike / count, 1), width) if width > 1 else (0.0, 0)

    return max(_DELIMITERS, key=fit) if lines else ","
