"""What counts as a word, in every script: text as the word index takes it, and the words of a query. Pure functions.

Scripts that write no spaces, and Hangul, whose particles hang on the word, are indexed as overlapping pairs of signs (a sign
is a letter with its marks), which finds words without a dictionary: Foo and Li 2004, "Chinese word segmentation and its
effect on information retrieval". The last sign of a run stands alone too, so that one sign is found anywhere as a prefix.

Folded is what two writers of one word may write differently: compatibility forms, case, accents of Latin, Greek and Cyrillic,
vowel points, forms of alef, the Arabic article, Persian letters, digits of every script.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby, pairwise

_RUN = re.compile(
    "["
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Han
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3105-\u312f"  # Kana, Bopomofo
    "\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"  # Hangul
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf"  # Thai, Lao
    "\u0f40-\u0fbc\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u1950-\u19df\u1a20-\u1a5e\ua000-\ua48c"  # Tibetan, Khmer …
    "]+"
)
_POINTS = re.compile(
    "(?<![\u0438\u0443])[\u0300-\u036f]|[\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u0640\u00ad\u200c\u200d\u2060\ufeff]"
)
"""Marks that a reader may leave out (not the breve of й and ў), and signs that are not seen."""
_DIGIT = re.compile(r"(?![0-9])\d")
_FOLDED = str.maketrans(
    {
        **dict(zip("ıøðđłħŧ", "ioddlht", strict=True)),
        **dict(zip("ىیکگۀہھةٱ", "ييككهههها", strict=True)),
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "\u200b": " ",
    }
)
_ARTICLE = re.compile("(?<![\u0620-\u06d3])(?:[وبكف]?ال|لل)(?=[\u0620-\u06d3]{3})")
"""After Larkey, Ballesteros and Connell 2007, "Light stemming for Arabic information retrieval"."""


def folded(text: str) -> str:
    """The text with one way of writing for each word."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    text = unicodedata.normalize("NFC", _POINTS.sub("", apart)).translate(_FOLDED)
    return _ARTICLE.sub("", _DIGIT.sub(_ascii_digit, text))


def indexed(text: str) -> str:
    """The text with its words apart, for an index that cuts at whatever is no letter, mark or digit."""
    if text.isascii():
        return text
    return _RUN.sub(lambda run: f" {' '.join(_grams(run[0]))} ", folded(text))


def words(text: str) -> Iterator[str]:
    """The words of a query, pairs of signs among them; `水*` for a sign that stands alone."""
    for kind, group in groupby(folded(text), _kind):
        found = "".join(group)
        if kind == "word":
            yield found
        elif kind == "run":
            signs = _signs(found)
            yield from (
                (one + other for one, other in pairwise(signs)) if len(signs) > 1 else (f"{signs[0]}*",)
            )


def signs(text: str) -> Iterator[str]:
    """The signs of scripts without spaces, and of Hangul, in a text: each as it is, and once more without its marks if it has any."""
    if text.isascii():
        return
    for run in _RUN.finditer(folded(text)):
        for sign in _signs(run[0]):
            yield sign
            if len(sign) > 1:
                yield sign[0]


def is_run(word: str) -> bool:
    """The word is of a script without spaces, or of Hangul."""
    return _RUN.match(word) is not None


def is_mark(char: str) -> bool:
    """It belongs to the letter before it."""
    return unicodedata.category(char)[0] == "M"


def _kind(char: str) -> str:
    if _RUN.match(char):
        return "run"
    return "word" if char == "_" or unicodedata.category(char)[0] in "LNM" else ""


def _grams(run: str) -> Iterator[str]:
    signs = _signs(run)
    yield from (one + other for one, other in pairwise(signs))
    yield signs[-1]


def _signs(run: str) -> list[str]:
    """Letters with their marks."""
    signs: list[str] = []
    for char in run:
        if signs and is_mark(char):
            signs[-1] += char
        else:
            signs.append(char)
    return signs


def _ascii_digit(found: re.Match[str]) -> str:
    return str(unicodedata.decimal(found[0]))
