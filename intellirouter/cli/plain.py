"""Text that a terminal shows as it is: rich would take `[auth]` for a style and leave it out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from intellirouter.counts import counted


def cells(*values: object) -> list[Text]:
    """The cells of a row."""
    return [Text(str(value)) for value in values]


def room() -> int:
    """The columns that lines are cut at: those of the terminal, or of COLUMNS. In a pipe nothing is cut."""
    return shutil.get_terminal_size((10_000, 24)).columns


def fitting(
    columns: Sequence[str],
    widths: Sequence[int],
    shrinks: str,
    *,
    least: int,
    leaves: Sequence[str] = (),
    gap: int = 2,
) -> dict[str, int]:
    """The columns that there is room for, and how wide each is: `shrinks` gives way down to `least`, then `leaves` go one by one."""
    kept = dict(zip(columns, widths, strict=True))

    def over() -> int:
        return sum(kept.values()) + gap * (len(kept) - 1) - room()

    for name in leaves:
        if over() > kept[shrinks] - least:
            del kept[name]
    kept[shrinks] = max(min(kept[shrinks], least), kept[shrinks] - max(0, over()))
    return kept


def print_fitting(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    shrinks: str,
    *,
    least: int,
    leaves: Sequence[str] = (),
    left: Sequence[str] = (),
    styles: Sequence[str] = (),
    title: str | None = None,
) -> None:
    """Print a table, a line a row, that keeps within the terminal as `fitting` has it. `left` stand to the left, `styles` are of the rows."""
    kept = fitting(
        columns,
        [max(map(len, column)) for column in zip(columns, *rows, strict=True)],
        shrinks,
        least=least,
        leaves=leaves,
    )
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for name, width in kept.items():
        justify: Any = "left" if name in left else "right"
        table.add_column(name, overflow="ellipsis", no_wrap=True, width=width, justify=justify)
    for place, row in enumerate(rows):
        told = dict(zip(columns, row, strict=True))
        table.add_row(*cells(*(told[name] for name in kept)), style=styles[place] if styles else "")
    Console(width=max(room(), sum(kept.values()) + 2 * len(kept))).print(table)


def none_of(rows: Sequence[object], words: str) -> bool:
    """Whether there are none, which is then said: a heading above nothing looks like something that is lacking."""
    if not rows:
        Console().print(words, markup=False, highlight=False, soft_wrap=True)
    return not rows


def warn(console: Console, problem: object, word: str = "warning") -> None:
    """One line that stands out by its first word."""
    console.print(Text.assemble((word, "bold yellow"), f" {problem}"), soft_wrap=True)


def wrapped(text: str, width: int, first: int | None = None) -> list[str]:
    """The lines of a text, broken between words only; `first` is the room on the first line, which may stay empty."""
    lines: list[str] = []
    for part in text.splitlines() or [""]:
        line = ""
        for word in part.split(" "):
            room = first if first is not None and not lines else width
            if line and len(line) + 1 + len(word) > room:
                lines.append(line)
                line = word
            elif not line and not lines and len(word) > room < width:
                lines.append("")
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def dollars(amount: float) -> str:
    """US dollars as a person reads them: `$5`, `$0.25`, `$0.0000125`; never `1e-05`."""
    if amount == 0:
        return "$0"
    digits = max(2, 3 - int(f"{abs(amount):e}".partition("e")[2])) if abs(amount) < 1 else 2
    text = f"{amount:,.{digits}f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}" if not cents else f"${whole}.{cents:0<2}"


def amount(size: int) -> str:
    """Bytes as a person reads them: `512 bytes`, `1.4 MiB`."""
    if size < 1024:
        return counted(size, "byte")
    number, unit = size / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.1f} {unit}"


def age(seconds: float) -> str:
    """The largest unit of a duration that is not 0: `3 days`, `1 minute`."""
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(int(seconds // size), noun)
    return counted(max(0, int(seconds)), "second")
