"""A text as a reader sees it, with the place of each character in the text as it was written.

Folded are: characters that show nothing (zero-width, joiners, tags, variation selectors, soft hyphens), full-width and other
compatibility forms, letters of other scripts that look Latin (after Unicode's confusables, UTS 39), accents, case.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

ALIKE = (
    ("аеорсухіјѕԁһкмтвнгԛԝ", "aeopcyxijsdhkmtbhrqw"),  # Cyrillic
    ("αορνυτικεηχγβμρω", "aopvutikenxybupw"),  # Greek
    ("ıɑɡɩʟɴʀßƅ", "iagilnrsb"),
)
INVISIBLE = "".join(
    chr(code)
    for code in (
        *range(0x20, 0x3000),
        *range(0xFE00, 0xFF00),
        *range(0xFFF0, 0x10000),
        *range(0xE0000, 0xE01F0),
    )
    if unicodedata.category(chr(code)) == "Cf"
    or 0xFE00 <= code <= 0xFE0F
    or 0x0300 <= code <= 0x036F
    or code in (0x115F, 0x1160, 0x17B4, 0x17B5)
)
_UNSEEN = frozenset(INVISIBLE)
_LATIN = {letter: latin for letters, latins in ALIKE for letter, latin in zip(letters, latins, strict=True)}


class Folded(NamedTuple):
    """`places[i]` is where character `i` of `text` stands in what was written; None where it is the same place."""

    text: str
    places: list[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch as it was written."""
        if self.places is None or end <= start:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def folded(text: str) -> Folded:
    """The text in lower case and plain letters."""
    if text.isascii():
        return Folded(text.lower())
    out: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        plain = letter.lower() if letter.isascii() else _plain(letter)
        out.append(plain)
        places.extend([place] * len(plain))
    return Folded("".join(out), places)


_UNEVEN = ("_", "  ", "\n", "\t", "\r", "\x0b", "\x0c")
_GAP = re.compile(r"[\s_]+")


def spaced(plain: Folded) -> Folded:
    """With one space wherever there is any, or an underscore, so that phrases can be looked for as they are written."""
    text = plain.text
    if not any(gap in text for gap in _UNEVEN) and (plain.places is None or _GAP.sub(" ", text) == text):
        return plain
    out: list[str] = []
    places: list[int] = []
    last = 0
    for gap in _GAP.finditer(text):
        out += (text[last : gap.start()], " ")
        places.extend(range(last, gap.start() + 1))
        last = gap.end()
    out.append(text[last:])
    places.extend(range(last, len(text)))
    if plain.places is not None:
        places = [plain.places[place] for place in places]
    return Folded("".join(out), places)


def visible(text: str) -> Folded:
    """The text without what shows nothing, in ASCII's digits and signs; letters and case stay."""
    if text.isascii():
        return Folded(text)
    out: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        shown = letter if letter.isascii() else _shown(letter)
        if shown:
            out.append(shown)
            places.append(place)
    return Folded("".join(out), places if len(places) < len(text) else None)


@lru_cache(maxsize=8192)
def _plain(letter: str) -> str:
    """What one character looks like: empty for what shows nothing."""
    made = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", letter).casefold())
    return "".join(_LATIN.get(one, one) for one in made if one not in _UNSEEN)


@lru_cache(maxsize=8192)
def _shown(letter: str) -> str:
    """Itself, its ASCII form where it is a digit or a full-width sign, or empty."""
    if letter in _UNSEEN and not 0x0300 <= ord(letter) <= 0x036F:
        return ""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if 0xFF01 <= ord(letter) <= 0xFF5E:
        return chr(ord(letter) - 0xFEE0)
    return {
        "\u00a0": " ",
        "\u202f": " ",
        "\u2007": " ",
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
    }.get(letter, letter)
