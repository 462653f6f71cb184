"""A text as a reader sees it, with the place of each character in the text as it was written.

Folded are: characters that show nothing (zero-width, joiners, tags, variation selectors, soft hyphens), full-width and other
compatibility forms, letters of other scripts that look Latin (after Unicode's confusables, UTS 39), accents, case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

ALIKE = (
    ("аеорсухіјѕԁһкмтвнгԛԝ", "aeopcyxijsdhkmtbhrqw"),  # Cyrillic
    ("αορνυτικεηχγβμρω", "aopvutikenxybupw"),  # Greek
    ("ıɑɡɩʟɴʀßƅ", "iagilnrsb"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡʏᴢ", "abcdefghijkmopstuvwyz"),  # small capitals
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
_ASCII = bytes(range(128))
_NO_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}
_GAP = re.compile(r"[\s_]+")
_BETWEEN = re.compile(r"[\W_]+")
_JOINT = re.compile(r"(?<=[^\W_])[^\w\s]{1,8}(?=[^\W_])|[\s*_~`\"'“”‘’«»()\[\]]{2,}|[*_~`\"'“”‘’«»()\[\]]")
_NO_IDEOGRAPH = re.compile(r"[^\u3400-\u9fff]")
_MANY = 256
"""Characters beyond ASCII from which it pays to pass over ideographs: making a set of them takes longer than all that follows."""
_FEW = 16
"""Letters that are replaced one after another."""
_UNSEEN = frozenset(INVISIBLE)
_LATIN = {letter: latin for letters, latins in ALIKE for letter, latin in zip(letters, latins, strict=True)}


class Folded:
    """A text, and where each of its characters stands in what was written; worked out only when somebody asks."""

    __slots__ = ("_places", "text")

    def __init__(self, text: str, places: Callable[[], list[int] | None] | None = None) -> None:
        self.text = text
        self._places: Callable[[], list[int] | None] | list[int] | None = places

    @property
    def places(self) -> list[int] | None:
        """`places[i]` is where character `i` stands; None where it is the same place for all."""
        if callable(self._places):
            self._places = self._places()
        return self._places

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch as it was written."""
        if end <= start or (places := self.places) is None:
            return start, end
        return places[start], places[end - 1] + 1

    def becomes(self, text: str) -> Folded:
        """With another text of the same length."""
        return Folded(text, lambda: self.places)


def letters_beyond(text: str) -> frozenset[str]:
    """The characters of the text that are not ASCII, each once; without ideographs, which look like nothing else."""
    if text.isascii():
        return frozenset()
    data = text.encode("utf-8", "surrogatepass").translate(None, _ASCII)
    beyond = data.decode("utf-8", "surrogatepass")
    return frozenset(beyond if len(beyond) < _MANY else _NO_IDEOGRAPH.findall(beyond))


def folded(text: str, beyond: frozenset[str] | None = None) -> Folded:
    """The text in lower case and plain letters. `beyond`: its letters beyond ASCII, or more than these, where they are known."""
    if text.isascii():
        return Folded(text.lower())
    made, moved = _changed(text, letters_beyond(text) if beyond is None else beyond, _plain)
    return Folded(made.lower(), (lambda: _moved(text, _plain)) if moved else None)


def visible(text: str, beyond: frozenset[str] | None = None) -> Folded:
    """The text without what shows nothing, in ASCII's digits and signs; letters and case stay."""
    if text.isascii():
        return Folded(text)
    made, moved = _changed(text, letters_beyond(text) if beyond is None else beyond, _shown)
    return Folded(made, (lambda: _moved(text, _shown)) if moved else None)


def _changed(text: str, beyond: frozenset[str], change: Callable[[str], str]) -> tuple[str, bool]:
    """The text with each of its letters beyond ASCII changed, and whether one is not one letter any more."""
    changes = {letter: made for letter in beyond if (made := change(letter)) != letter}
    if not changes:
        return text, False
    moved = any(len(made) != 1 for made in changes.values())
    if len(changes) > _FEW or any(letter in changes for made in changes.values() for letter in made):
        return text.translate({ord(letter): made for letter, made in changes.items()}), moved
    for letter, made in changes.items():  # ten times as fast
        text = text.replace(letter, made)
    return text, moved


def _moved(text: str, change: Callable[[str], str]) -> list[int]:
    places: list[int] = []
    for place, letter in enumerate(text):
        if letter.isascii():
            places.append(place)
        else:
            places.extend([place] * len(change(letter)))
    return places


def spaced(plain: Folded) -> Folded:
    """With one space wherever there is any, or an underscore, so that phrases can be looked for as they are written."""
    text = plain.text
    words = text.replace("_", " ")
    made = " ".join(words.split())
    if words[:1].isspace():
        made = f" {made}"
    if words[-1:].isspace() and made != " ":
        made = f"{made} "
    if made == text:
        return plain
    if len(made) == len(text):
        return plain.becomes(made)
    return Folded(made, lambda: _closed(plain, _GAP))


def worded(plain: Folded) -> Folded:
    """With one space for signs that stand between two words or adorn them, such as `project-x` and `*project* x`."""
    made = _JOINT.sub(" ", plain.text)
    return plain if made == plain.text else Folded(made, lambda: _closed(plain, _JOINT))


def parted(plain: Folded) -> Folded:
    """Its words, with one space between two, whatever stood there."""
    text = plain.text
    if text.isascii():
        made = " ".join(text.translate(_NO_SIGNS).split())
        if text[:1] and not text[0].isalnum():
            made = f" {made}"
        if text and not text[-1].isalnum() and made != " ":
            made = f"{made} "
    else:
        made = _BETWEEN.sub(" ", text)
    return plain if made == plain.text else Folded(made, lambda: _closed(plain, _BETWEEN))


def _closed(plain: Folded, gaps: re.Pattern[str]) -> list[int]:
    text, before = plain.text, plain.places
    places: list[int] = []
    last = 0
    for gap in gaps.finditer(text):
        places.extend(range(last, gap.start() + 1))
        last = gap.end()
    places.extend(range(last, len(text)))
    return places if before is None else [before[place] for place in places]


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
