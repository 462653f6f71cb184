"""Tables row by row: a row reads as `column: value` pairs, so that it means something alone."""

from __future__ import annotations

import csv
import importlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET  # see books.py

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.charset import decode

_DELIMITERS = ",;\t|^~"
_SAMPLE_LINES = 50
_KEY = re.compile(
    r"\b(?:id|key|sku|code|name|no|nr|number|isbn|ean|uuid|title|email|artikel\w*|nummer|nombre|nom)\b|编号|名称|名前|番号",
    re.IGNORECASE,
)
_KEYS, _KEY_CHARACTERS = 3, 80
"""So many columns that say which row it is go with each part of a long row, each no longer than that."""
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
    return list(_blocks(rows, ""))


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
    blocks: list[Block] = []
    for name in book.sheet_names:
        try:
            rows = book.get_sheet_by_name(name).iter_rows()
        except calamine.CalamineError:  # a sheet that is a chart
            continue
        blocks += _blocks(([_cell(cell) for cell in row] for row in rows), name)
    return blocks


def sheet_xml(book: ET.Element) -> list[Block]:
    """The sheets of a spreadsheet in Microsoft's XML of 2003."""
    blocks: list[Block] = []
    for sheet in book.iterfind("{*}Worksheet"):
        name = next((value for key, value in sheet.attrib.items() if key.endswith("}Name")), "")
        blocks += _blocks((_xml_cells(row) for row in sheet.iterfind("{*}Table/{*}Row")), name)
    return blocks


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
        if not widths or widths[0] < 2:
            return (0.0, 0)
        width, alike = Counter(widths).most_common(1)[0]
        return (round(alike / len(widths), 1), width) if width > 1 else (0.0, 0)

    return max(_DELIMITERS, key=fit) if lines else ","


def _blocks(rows: Iterable[Sequence[str]], sheet: str) -> Iterator[Block]:
    """One block a row, numbered as a spreadsheet does; the first with more than one cell names the columns."""
    header: list[str] | None = None
    keys: list[int] = []
    first: Block | None = None
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise UnsupportedMediaType(f"has more than {MOST_ROWS:,} rows")
        cells = [" ".join(cell.split()) if len(cell) < 1_000 else cell.strip() for cell in row]
        if not any(cells):
            continue
        if header is None and (filled := sum(map(bool, cells))) and (filled > 1 or len(cells) == 1):
            header = cells
            keys = [0, *(place for place, name in enumerate(cells) if place and _KEY.search(name))][:_KEYS]
            first = Block("; ".join(filter(None, cells)), sheet, "table", "", number)
            continue
        if header is None:  # a title above the table
            yield Block(" ".join(filter(None, cells)), sheet, "table", "", number)
            continue
        first = None
        text = "; ".join(
            f"{name}: {cell}" if name else cell
            for place, cell in enumerate(cells)
            if cell
            for name in [_column(header, place)]
        )
        head = [
            f"{header[place]}: {cells[place]}"
            for place in keys
            if place < len(cells) and cells[place] and len(cells[place]) <= _KEY_CHARACTERS
        ]
        yield Block(text, sheet, "table", f"{'; '.join(head)}; " if head else "", number)
    if header is not None and first is not None:  # nothing but that one row
        yield first


def _column(header: Sequence[str], place: int) -> str:
    """What a cell is called: by its place where the header does not reach, or not at all in a list of one column."""
    named = header[place] if place < len(header) else ""
    return named or (f"column {place + 1}" if len(header) > 1 or place else "")
