"""A question as numbers: 36 of its structure, and hashed n-grams of its characters.

Everything runs over the bytes as numpy arrays: a loop in Python would cost more than the decision may. The n-grams of
three to five characters are hashed into 2^15 slots (Weinberger et al., "Feature hashing", 2009), and of these a question
keeps the 192 of lowest rank under a second hash, the same ones for the same text (bottom-k sampling, Cohen and Kaplan,
2007): enough to tell subjects apart, few enough to keep beside each decision until its outcome is known.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning.question import Question

Floats = NDArray[np.float32]
Slots = NDArray[np.uint16]
AnyUnsigned = TypeVar("AnyUnsigned", np.uint16, np.uint32)

STRUCTURE = 36
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
_CONNECTIVES = (" if ", " then ", " and ", " or ", " because ")


class Features(msgspec.Struct, frozen=True):
    """`structure` holds `STRUCTURE` numbers as they are, unscaled; `slots` the sorted slots of the n-grams."""

    structure: Floats
    slots: Slots


def features_of(question: Question) -> Features:
    """The numbers of `question`."""
    text = question.text
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    return Features(_structure(text, data, question.length), _slots(data))


def _structure(text: str, data: NDArray[np.uint8], length: int) -> Floats:
    counts = np.bincount(data, minlength=256).tolist()
    size = max(1, len(data))
    low = text.lower()
    words = low.split()
    many = max(1, len(words))
    rows = text.split("\n")
    offered = [at for at, row in enumerate(rows) if row[1:2] in _POINTS and row[0] in _LETTERS]
    ask = text[: sum(map(len, rows[: offered[0]])) + offered[0]] if offered and offered[0] else text
    choices = [rows[at][3:] for at in offered]
    lowest = low[: len(ask)]
    lengths = [len(choice) for choice in choices] or [0]
    mean = sum(lengths) / len(lengths)
    spread = (sum((n - mean) ** 2 for n in lengths) / len(lengths)) ** 0.5
    chosen = " ".join(choices).lower().split()
    digits, upper = sum(counts[48:58]), sum(counts[65:91])
    letters, spaces, lines = sum(counts[97:123]), counts[32], counts[10]
    end = lowest.rstrip()[-1:]

    digit = (data >= 48) & (data <= 57)
    small, capital = (data >= 97) & (data <= 122), (data >= 65) & (data <= 90)

    def of(characters: str) -> int:
        return sum([counts[ord(c)] for c in characters])

    plain = (
        size / many,
        digits / size,
        upper / size,
        (size - digits - upper - letters - spaces - lines) / size,
        of("?"),
        len(set(words)) / many,
        sum(counts[128:]) / size,
        float(bool(choices)),
        sum(_DIGIT.search(c) is not None for c in choices) / len(choices) if choices else 0.0,
        float(_has_any(lowest, _NEGATED)),
        float("statement" in lowest),
        float(end == "?"),
        float(end in {".", ":"}),
        float("_" in lowest),
        float("which of the following" in lowest),
        sum(lowest.count(word) for word in _CONNECTIVES),
        float(_has_any(lowest, _QUANTITY)),
        float(any(sign in lowest for sign in "$\\^=")),
        len(set(chosen)) / (1 + len(chosen)) if choices else 0.0,
    )
    logged = (
        length,
        many,
        lines,
        _starts(digit),
        max(map(len, rows)),
        len(rows[0]),
        of("."),
        of("=+*/^<>"),
        of("(){}[]"),
        of(","),
        of("$%"),
        of("\"'"),
        len(ask),
        mean,
        spread,
        sum(map(_PERSONS.__contains__, words)),
        _starts(capital[:-1] & small[1:]),
    )
    return np.concatenate((np.array(plain, np.float32), np.log1p(np.array(logged, np.float32))))


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


def _starts(marked: NDArray[np.bool_]) -> int:
    """How many runs of marked bytes there are."""
    return int(np.count_nonzero(marked[1:] & ~marked[:-1])) + int(marked[:1].sum())


_LOWER = np.arange(256, dtype=np.uint32)
_LOWER[65:91] += 32
_LOWER[[9, 10, 13]] = 32
_ONE, _TWO = np.uint32(0x01000193), np.uint32(0x9E3779B1)


def _slots(data: NDArray[np.uint8]) -> Slots:
    bytes_ = np.empty(len(data) + 2, np.uint32)
    bytes_[0] = bytes_[-1] = 32
    bytes_[1:-1] = _LOWER[data]
    pair = bytes_[:-1] * _ONE + bytes_[1:]
    grams = []
    rolled = pair
    for width in (3, 4, 5):
        if len(bytes_) < width:
            break
        rolled = rolled[:-1] * _ONE + bytes_[width - 1 :]
        grams.append((rolled ^ np.uint32(width)) * _TWO)
    if not grams:
        return np.empty(0, np.uint16)
    mixed = np.concatenate(grams)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA6B)
    if len(mixed) > MAX_SLOTS:  # the lowest ranks, with some to spare for those that are the same
        spare = min(len(mixed), 4 * MAX_SLOTS)
        mixed = np.partition(mixed, spare - 1)[:spare]
    mixed = _distinct(mixed)[:MAX_SLOTS]
    scrambled = (mixed * np.uint32(0xC2B2AE35)) >> np.uint32(32 - SLOT_BITS)
    return _distinct(scrambled.astype(np.uint16))


def _distinct(values: NDArray[AnyUnsigned]) -> NDArray[AnyUnsigned]:
    """The values, sorted, each once. Of so few a sort is cheaper than numpy's `unique`, which hashes them."""
    values.sort()
    new = np.empty(len(values), np.bool_)
    new[:1] = True
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return values[new]
