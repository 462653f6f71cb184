"""A table's rows as blocks: each reads as `column: value` pairs, so that it means something alone.

The first row with several cells names the columns, unless it looks like what stands below it. What is merged across columns above others
goes with each of their names, what is merged down a column stands in each of its rows. Behind an empty row another table may begin. Pure
functions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from intellirouter.roles.rag_manager.chunking import Block

Row = Sequence[str]
Merged = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last cell of what is one, by row and column from 0."""

_KEY = re.compile(
    r"\b(?:id|key|sku|code|name|no|nr|number|isbn|ean|uuid|title|email|artikel\w*|nummer|nombre|nom)\b|编号|名称|名前|番号",
    re.IGNORECASE,
)
_KEYS, _KEY_CHARACTERS = 3, 80
"""So many columns that say which row it is go with each part of a long row, each no longer than that."""
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,:/\s'-]*\)?\s?(?:[%€$£¥]|[ap]m)?", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_ABOVE = 8
"""Rows of one cell that may stand above a table: its title, what it is an export of."""


@dataclass(slots=True)
class _Line:
    """A row that says something. `number` as a spreadsheet counts, `apart`: behind an empty one."""

    number: int
    cells: list[str]
    apart: bool
    across: list[tuple[int, int]] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return sum(map(bool, self.cells))

    def named(self) -> list[str]:
        """Its cells as names of columns, what is merged in each of its columns."""
        names = list(self.cells)
        for first, last in self.across:
            names += [""] * (last + 1 - len(names))
            names[first : last + 1] = [names[first]] * (last + 1 - first)
        return names


@dataclass(slots=True)
class _Columns:
    names: list[str]
    """Empty where the table has none."""
    keys: list[int]
    numbers: set[int] = field(default_factory=set)
    """Columns that had nothing but numbers."""
    texts: set[int] = field(default_factory=set)

    def take(self, cells: Row) -> None:
        for place, cell in enumerate(cells):
            if cell:
                (self.numbers if _is_number(cell) else self.texts).add(place)

    def called(self, place: int) -> str:
        """By its place where the names do not reach, or not at all in a list of one column."""
        if not self.names:
            return ""
        named = self.names[place] if place < len(self.names) else ""
        return named or (f"column {place + 1}" if len(self.names) > 1 or place else "")


def blocks(rows: Iterable[Row], sheet: str, merged: Sequence[Merged] = ()) -> Iterator[Block]:
    """One block a row, numbered as a spreadsheet does."""
    lines = _lines(rows, merged)
    columns: _Columns | None = None
    alone: Block | None = None
    ahead: list[_Line] = []
    while ahead or (ahead := list(islice(lines, 1))):
        line = ahead.pop(0)
        ahead += islice(lines, _ABOVE - len(ahead))
        if columns is not None and line.apart and _begins_another(line, ahead, columns):
            columns = None
        if columns is not None:
            alone = None
            columns.take(line.cells)
            yield _row(line, columns, sheet)
        elif line.filled > 1 or (len(line.cells) == 1 and not _stands_above(ahead)):
            if _is_like(line, ahead):
                columns = _Columns([], [0])
                yield _row(line, columns, sheet)
                continue
            names = line.named()
            while line.across and ahead and not ahead[0].apart:
                line = ahead.pop(0)
                names = _together(names, line.named())
            columns = _Columns(names, _keys(names))
            alone = Block("; ".join(filter(None, names)), sheet, "table", "", line.number)
        else:  # a title above the table
            yield Block(" ".join(filter(None, line.cells)), sheet, "table", "", line.number)
    if alone is not None:  # nothing but that one row
        yield alone


def _lines(rows: Iterable[Row], merged: Sequence[Merged]) -> Iterator[_Line]:
    across: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    down: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for (top, left), (bottom, right) in merged:
        if right > left:
            across[top].append((left, right))
        if bottom > top:
            down[top].append((left, bottom))
    held: dict[int, tuple[int, str]] = {}
    apart = False
    for number, row in enumerate(rows):
        cells = [" ".join(cell.split()) if len(cell) < 1_000 else cell.strip() for cell in row]
        if not any(cells):
            apart = True
            continue
        held = {place: last for place, last in held.items() if last[0] >= number}
        for place, (_, text) in held.items():
            cells += [""] * (place + 1 - len(cells))
            cells[place] = cells[place] or text
        for place, bottom in down.get(number, ()):
            if place < len(cells) and cells[place]:
                held[place] = (bottom, cells[place])
        yield _Line(number + 1, cells, apart, across.get(number, []))
        apart = False


def _row(line: _Line, columns: _Columns, sheet: str) -> Block:
    text = "; ".join(
        f"{name}: {cell}" if (name := columns.called(place)) else cell
        for place, cell in enumerate(line.cells)
        if cell
    )
    head = [
        f"{columns.called(place)}: {line.cells[place]}"
        for place in columns.keys
        if columns.names
        and place < len(line.cells)
        and line.cells[place]
        and len(line.cells[place]) <= _KEY_CHARACTERS
    ]
    return Block(text, sheet, "table", f"{'; '.join(head)}; " if head else "", line.number)


def _keys(names: Row) -> list[int]:
    return [0, *(place for place, name in enumerate(names) if place and _KEY.search(name))][:_KEYS]


def _together(above: Row, below: Row) -> list[str]:
    """Names of columns in two rows."""
    width = max(len(above), len(below))
    pairs = ((one[place] if place < len(one) else "" for one in (above, below)) for place in range(width))
    return [" ".join(dict.fromkeys(filter(None, pair))) for pair in pairs]


def _stands_above(ahead: Sequence[_Line]) -> bool:
    """A table of several columns follows soon: nearly all that comes then has several cells."""
    first = next((place for place, line in enumerate(ahead) if line.filled > 1), len(ahead))
    return any(line.filled > 1 for line in ahead) and all(line.filled > 1 for line in ahead[first:])


def _is_like(line: _Line, ahead: Sequence[_Line]) -> bool:
    """The row is one of the table's, and no names: it has numbers, other than years, where the next one has some."""
    if not ahead or line.filled < 2 or ahead[0].filled != line.filled:
        return False
    pairs = [(one, two) for one, two in zip(line.cells, ahead[0].cells, strict=False) if one]
    numbers = [one for one, _ in pairs if _is_number(one) and not _YEAR.fullmatch(one)]
    return bool(numbers) and all(bool(two) and _is_number(one) == _is_number(two) for one, two in pairs)


def _begins_another(line: _Line, ahead: Sequence[_Line], columns: _Columns) -> bool:
    """Behind an empty row: names of other columns, or a title above such."""
    if line.filled == 1 and ahead and not ahead[0].apart:
        return ahead[0].filled > 1 and _names_others(ahead[0], columns)
    return bool(ahead) and not ahead[0].apart and line.filled > 1 and _names_others(line, columns)


def _names_others(line: _Line, columns: _Columns) -> bool:
    """There is no number in it, though a column of its has had nothing else."""
    places = {place for place, cell in enumerate(line.cells) if cell}
    return bool(places & (columns.numbers - columns.texts)) and not any(map(_is_number, line.cells))


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None
