"""A question as numbers: 36 of its structure, and hashed n-grams of its characters.

Everything runs over the bytes as numpy arrays: a loop in Python would cost more than the decision may. The n-grams of
three to five characters are hashed into 2^15 slots (Weinberger et al., "Feature hashing", 2009), and of these a question
keeps the 192 of lowest rank under a second hash, the same ones for the same text (bottom-k sampling, Cohen and Kaplan,
2007): enough to tell subjects apart, few enough to keep beside each decision until its outcome is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning.question import Question

Floats = NDArray[np.float32]
Slots = NDArray[np.uint16]
Ranks = NDArray[np.uint32]

STRUCTURE = 36
_LOGGED = 19
"""From this one on, the structure holds logarithms of counts."""
SLOT_BITS = 15
MAX_SLOTS = 192
VERSION = 1
"""Of what the numbers mean: weights learnt from other numbers do not fit."""

_DIGIT = re.compile(r"\d")
_NEGATED = ("not", "except", "least", "incorrect", "false")
_QUANTITY = ("how many", "how much")
_LETTERS = frozenset("ABCDEFGHIJ")
_POINTS = frozenset(".)")
_PERSONS = frozenset("he she his her him i my you your we".split())
_CONNECTIVES = {word: f" {word} " for word in ("if", "then", "and", "or", "because")}


class Features(msgspec.Struct, frozen=True):
    """`structure` holds `STRUCTURE` numbers as they are, unscaled; `slots` the sorted slots of the n-grams."""

    structure: Floats
    slots: Slots


def features_of(question: Question) -> Features:
    """The numbers of `question`."""
    text = question.text
    raw = text.encode("utf-8", "replace")
    return Features(_structure(text, raw, question.length), _slots(raw))


def _these(characters: str) -> Callable[[list[int]], Iterable[int]]:
    """Of the counts of all bytes those of these."""
    return itemgetter(*map(ord, characters))


_OPERATORS, _BRACKETS, _MONEY, _QUOTES = map(_these, ("=+*/^<>", "(){}[]", "$%", "\"'"))
_DIGIT_THEN_DIGIT, _CAPITAL_THEN_SMALL = 4 * 1 + 1, 4 * 3 + 2
_KINDS = bytes(1 if 48 <= c < 58 else 2 if 97 <= c < 123 else 3 if 65 <= c < 91 else 0 for c in range(256))
"""Of each byte: 1 a digit, 2 a small letter, 3 a capital, 0 anything else."""


def _structure(text: str, raw: bytes, length: int) -> Floats:
    counts = np.bincount(np.frombuffer(raw, np.uint8), minlength=256).tolist()
    size = max(1, len(raw))
    low = text.lower()
    words = low.split()
    distinct = set(words)
    many = max(1, len(words))
    rows = text.split("\n")
    offered = [at for at, row in enumerate(rows) if row[1:2] in _POINTS and row[0] in _LETTERS]
    ask = text[: sum(map(len, rows[: offered[0]])) + offered[0]] if offered and offered[0] else text
    choices = [rows[at][3:] for at in offered]
    lowest = low[: len(ask)]
    lengths = [len(choice) for choice in choices] or [0]
    mean = sum(lengths) / len(lengths)
    spread = (sum([(n - mean) ** 2 for n in lengths]) / len(lengths)) ** 0.5
    chosen = " ".join(choices).lower().split()
    digits, upper = sum(counts[48:58]), sum(counts[65:91])
    letters, spaces, lines = sum(counts[97:123]), counts[32], counts[10]
    end = lowest.rstrip()[-1:]
    kinds = np.frombuffer(raw.translate(_KINDS), np.uint8)
    pairs = kinds[:-1] * 4 + kinds[1:]

    numbers = np.array(
        (
            size / many,
            digits / size,
            upper / size,
            (size - digits - upper - letters - spaces - lines) / size,
            counts[63],  # ?
            len(distinct) / many,
            0.0 if text.isascii() else sum(counts[128:]) / size,
            bool(choices),
            sum([_DIGIT.search(c) is not None for c in choices]) / len(choices) if choices else 0.0,
            _has_any(lowest, _NEGATED),
            "statement" in lowest,
            end == "?",
            end in {".", ":"},
            "_" in lowest,
            "which of the following" in lowest,
            sum([lowest.count(spaced) for word, spaced in _CONNECTIVES.items() if word in distinct]),
            "how m" in lowest and _has_any(lowest, _QUANTITY),
            "$" in lowest or "\\" in lowest or "^" in lowest or "=" in lowest,
            len(set(chosen)) / (1 + len(chosen)) if choices else 0.0,
            # From here on their logarithms.
            length,
            many,
            lines,
            digits - np.count_nonzero(pairs == _DIGIT_THEN_DIGIT),  # runs of digits
            max(map(len, rows)),
            len(rows[0]),
            counts[46],  # .
            sum(_OPERATORS(counts)),
            sum(_BRACKETS(counts)),
            counts[44],  # ,
            sum(_MONEY(counts)),
            sum(_QUOTES(counts)),
            len(ask),
            mean,
            spread,
            sum(map(_PERSONS.__contains__, words)),
            np.count_nonzero(pairs == _CAPITAL_THEN_SMALL),
        ),
        np.float32,
    )
    np.log1p(numbers[_LOGGED:], out=numbers[_LOGGED:])
    return numbers


def _has_any(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words stands in the text by itself. A pattern for it would look at every character."""
    for word in words:
        at = text.find(word)
        while at >= 0:
            end = at + len(word)
            if not (_joins(text[at - 1 : at]) or _joins(text[end : end + 1])):
                return True
            at = text.find(word, end)
    return False


def _joins(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


_LOWER = bytes(32 if c in b"\t\n\r" else c + 32 if 65 <= c < 91 else c for c in range(256))
_WIDTHS = tuple(map(np.uint32, (3, 4, 5)))
_ONE, _TWO, _THREE, _FOUR = map(np.uint32, (0x01000193, 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35))
_HALF, _REST = np.uint32(15), np.uint32(32 - SLOT_BITS)
_SPARE = 4 * MAX_SLOTS
"""Of the lowest ranks so many are looked at: some are the same."""


def _slots(raw: bytes) -> Slots:
    letters = np.frombuffer(b" %b " % raw.translate(_LOWER), np.uint8).astype(np.uint32)
    count = len(letters)
    if count < 3:
        return np.empty(0, np.uint16)
    ranks, at = np.empty(3 * count, np.uint32), 0
    rolled = letters[:-1] * _ONE
    rolled += letters[1:]
    for width in _WIDTHS[: count - 2]:
        rolled = rolled[:-1] * _ONE
        rolled += letters[int(width) - 1 :]
        np.bitwise_xor(rolled, width, out=ranks[at : at + len(rolled)])
        at += len(rolled)
    ranks = ranks[:at]
    ranks *= _TWO
    ranks ^= ranks >> _HALF
    ranks *= _THREE
    if at > _SPARE:
        ranks.partition(_SPARE - 1)
        ranks = ranks[:_SPARE]
    ranks.sort()
    lowest = _distinct(ranks[: 2 * MAX_SLOTS])
    if len(lowest) < MAX_SLOTS < at:
        lowest = _distinct(ranks)
    slots = lowest[:MAX_SLOTS] * _FOUR
    slots >>= _REST
    slots.sort()
    return _distinct(slots).astype(np.uint16)


def _distinct(ranked: Ranks) -> Ranks:
    """Each of the sorted values once."""
    new = np.empty(len(ranked), np.bool_)
    new[:1] = True
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    return ranked[new]
