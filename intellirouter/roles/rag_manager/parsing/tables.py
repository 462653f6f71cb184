"""Tables row by row: a row reads as `column: value` pairs, so that it means something alone."""

from __future__ import annotations

import csv
import importlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile
from typing import Any
from xml.etree import ElementTree as ET  # see books.py

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.charset import decode
from intellirouter.roles.rag_manager.parsing.grid import Merged, blocks

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
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text))
    return list(blocks(_bounded(rows), ""))


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
    found: list[Block] = []
    for name in book.sheet_names:
        try:
            sheet = book.get_sheet_by_name(name)
            rows = sheet.iter_rows()
        except calamine.CalamineError:  # a sheet that is a chart
            continue
        found += blocks(_bounded([_cell(cell) for cell in row] for row in rows), name, _merged(sheet))
    return found


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


def _cell(value: object) -> str:
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
