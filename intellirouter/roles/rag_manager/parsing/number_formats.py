"""What a spreadsheet shows around a number: a percentage, a currency, a unit, leading zeros.

The number itself is told exactly, whatever is rounded on the sheet.
Source: ECMA-376 Part 1, 18.8.31 (number formats).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

Shown = Callable[[float], str]

BUILT_IN = {9: "0%", 10: "0.00%"}
"""Formats that no file spells out, of those that say more than the number; those of 5 to 8 depend on the reader's country."""
_PLACES = frozenset("0#?")
_OF_DATES = frozenset("ymdhsYMDHS")


@dataclass(slots=True)
class _Section:
    """`before` and `after` the digits; `whole` are the places before the decimal point."""

    before: str = ""
    after: str = ""
    whole: str = ""
    points: int = 0
    commas: int = 0
    """That stand last: each says thousands."""
    grouped: bool = False
    hundredfold: bool = False

    def literal(self, text: str) -> None:
        if self.whole or self.points:
            self.after += text
        else:
            self.before += text

    def place(self, char: str) -> bool:
        """A digit's place, a point or a comma; False where words stand between digits."""
        if char == ",":
            self.commas += bool(self.whole)
            return True
        if self.after.strip():
            return False
        self.grouped = self.grouped or self.commas > 0
        self.commas = 0
        if char == ".":
            self.points += 1
        elif not self.points:
            self.whole += char
        return True


def shown(code: str) -> Shown | None:
    """How a number of this format is told; None where the number alone says it, and for dates and fractions."""
    section = _Section()
    for kind, text in _tokens(code.replace("General", "0#")):
        if kind == "literal":
            section.literal(text)
        elif text in _PLACES or text in ".,":
            if not section.place(text):
                return None
        elif text == "%":
            section.hundredfold = True
            section.literal("%")
        elif text in _OF_DATES or text in "/@Ee[":
            return None
        else:
            section.literal(text)
    return _told(section)


def _told(section: _Section) -> Shown | None:
    before, after = section.before.lstrip(), section.after.rstrip()
    least = len(section.whole)
    padded = least > 1 and set(section.whole) == {"0"} and not section.points and not section.grouped
    if not section.whole or not (before.strip() or after.strip() or section.commas or padded):
        return None
    by = Decimal(100 if section.hundredfold else 1) / 1000**section.commas

    def tell(number: float) -> str:
        value = Decimal(repr(number)) * by
        digits = f"{abs(value):f}"
        if "." in digits:
            digits = digits.rstrip("0").rstrip(".")
        said = before if value >= 0 else f"-{before.replace('+', '')}"
        return f"{said}{digits.zfill(least) if padded else digits}{after}"

    return tell


def _tokens(code: str) -> Iterator[tuple[str, str]]:
    """The first section of a format: what stands there as it is, and the signs that mean something."""
    place = 0
    while place < len(code) and (char := code[place]) != ";":
        place += 1
        if char == '"':
            end = code.find('"', place)
            end = len(code) if end < 0 else end
            yield "literal", code[place:end]
            place = end + 1
        elif char in "\\_*":
            if char == "\\":
                yield "literal", code[place : place + 1]
            place += 1
        elif char == "[":
            end = code.find("]", place)
            end = len(code) if end < 0 else end
            inner = code[place:end]
            place = end + 1
            if inner.startswith("$"):
                yield "literal", inner[1:].partition("-")[0]
            elif not inner.isalpha() or inner.lower() in ("h", "hh", "m", "mm", "s", "ss"):
                yield "sign", "["  # a condition, or time that passed
        else:
            yield "sign", char
