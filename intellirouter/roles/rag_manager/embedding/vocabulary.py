"""Which scripts and words a model was made for, by its vocabulary. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from statistics import fmean

from intellirouter.roles.rag_manager.terms import is_mark, is_run

LEAST = 1_000
"""Pieces of a script that a vocabulary has when its model was trained on that script; one that has met it in passing has a few
hundred single letters."""
_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "BOPOMOFO": "CJK", "IDEOGRAPHIC": "CJK"}
_LOOKED_AT = 500
SIGNS = 2
"""Of a script without spaces that count as one word."""
_WORD = re.compile(r"[^\W\d_]{2,}")
FLUENT, FOREIGN = 1.5, 2.0
"""Pieces that a vocabulary makes of a word, in the mean: of a language it was made from about one, of another of the same script two."""


def scripts_of(vocabulary: Iterable[str]) -> frozenset[str]:
    """Scripts by the first word of their letters' names (`LATIN`, `CJK`, `HANGUL`)."""
    counted: Counter[str] = Counter()
    for piece in vocabulary:
        char = next((char for char in reversed(piece) if char.isalpha()), "")
        if char:
            counted["LATIN" if char.isascii() else _name(char)] += 1
    return frozenset(name for name, count in counted.items() if count >= LEAST) or frozenset(counted)


def script_of(text: str) -> str:
    """That of most words; `LATIN` where there are none.

    By words and not by letters: a question in Japanese is none in Latin because it names `Debian GNU/Linux`. Where a script writes
    no spaces, two signs count as a word.
    """
    if text.isascii():
        return "LATIN"
    counted: Counter[str] = Counter()
    before = ""
    for char in text[:_LOOKED_AT]:
        if not char.isalpha():
            before = before if is_mark(char) else ""
            continue
        name = "LATIN" if char.isascii() else _name(char)
        if is_run(char):
            counted[name] += 1
        elif name != before:
            counted[name] += SIGNS
        before = name
    return counted.most_common(1)[0][0] if counted else "LATIN"


def words_of(text: str) -> list[str]:
    """The words of a query that `fluency` goes by."""
    return _WORD.findall(text[:_LOOKED_AT])


def fluency(pieces: Iterable[int]) -> float:
    """How well a model knows words that its vocabulary cuts into so many pieces each, 0 to 1."""
    counts = list(pieces)
    if not counts:
        return 1.0
    return min(1.0, max(0.0, (FOREIGN - fmean(counts)) / (FOREIGN - FLUENT)))


def _name(char: str) -> str:
    name = unicodedata.name(char, "").split(" ", 1)[0]
    return _TOGETHER.get(name, name)
