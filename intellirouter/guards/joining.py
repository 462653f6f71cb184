"""What only several texts hold together: an order that stands in two turns, or a code whose pieces stand in many.

Texts are read as one in three ways, since a model reads them so: what a user said, what tools answered, and both in their order.
Looked at is all of a short text and both ends of a long one, whose inside was looked at by itself: so the work grows with the
texts, and a long turn in between hides nothing. Pieces of base64 and of hexadecimal digits are put together without the words
that stand between them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from intellirouter.guards.finding import Finding
from intellirouter.guards.gates import Gates
from intellirouter.guards.places import TOOL_RESULT, USER

Find = Callable[[str], list[Finding]]
"""From a text to what a guard finds in it."""
Apart = dict[int, list[Finding]]
"""By the number of a text, what stands in it of something that only several texts hold together."""
Together = tuple[list[str], Apart]
"""The kinds of what was found, and where its pieces stand."""
_Run = tuple[int, int, int, str]
"""The number of a text, from where to where in it, and what stands there."""

END = 600
"""Characters at either end of a text that may be part of what another one goes on with."""
_LONG = 16
"""Characters from which a piece of a code is hardly a word."""
_LEAST = 20
"""Characters that pieces of a code have together at least: fewer say nothing."""
_PLACES = ((USER,), (TOOL_RESULT,), (USER, TOOL_RESULT))
_SIGN = "[A-Za-z0-9+/_-]"
_TURN = "(?:[a-z][A-Z]|[A-Za-z][0-9]|[0-9][A-Za-z])"
_PIECE = f"(?:{_SIGN}{_TURN}{_SIGN}{{2}}|{_SIGN}{{{_LONG}}})"
_DIGITS = r"\b[0-9a-fA-F]{4,}\b"
_GATES = Gates(
    {
        "codes": {
            "base64": rf"{_PIECE}{_SIGN}*=*[^A-Za-z0-9+/_=-][\x00-\x{{10ffff}}]*{_PIECE}",
            "hex": rf"{_DIGITS}[\x00-\x{{10ffff}}]+{_DIGITS}",
        }
    }
)
_CODED = re.compile(rf"(?<![A-Za-z0-9+/_=-]){_SIGN}{{4,}}={{0,2}}(?![A-Za-z0-9+/_=-])")
_LOOKS_CODED = re.compile(rf"{_TURN}|=\Z|[+/]")
_HEX = re.compile(r"(?<![A-Za-z0-9])[0-9a-fA-F]{4,}(?![A-Za-z0-9])")
_TAG = 0xE0000
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_DIGIT = re.compile(r"[0-9]")
_TEXT = re.compile(rb"(?:[\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}){12,}")
"""What bytes have to hold to be some text: those of a word that was taken for a code hold none."""


def found_together(
    texts: Sequence[tuple[str, str]], find: Find, *, coded: bool
) -> Iterator[tuple[str, Together]]:
    """What several of these texts, each with where it stands, hold only together; with the place.

    `coded`: pieces of codes are put together too.
    """
    for places in _PLACES:
        said = [(number, text) for number, (text, place) in enumerate(texts) if place in places]
        if len({texts[number][1] for number, _ in said}) == len(places):
            for found in among(said, find, coded=coded):
                yield places[0], found


def among(said: Sequence[tuple[int, str]], find: Find, *, coded: bool) -> Iterator[Together]:
    """The same for texts that follow one another, each with its number."""
    if len(said) > 1:
        ends = list(_ends(said))
        plain = all(text.isascii() for *_, text in ends)  # then a line's end is as good as a space
        for joiner in ("\n", "") if plain else ("\n", " ", ""):
            yield from _across(ends, joiner, find)
    if coded:
        yield from _smuggled(said, find)
        yield from _coded(said, find)


def _ends(said: Sequence[tuple[int, str]]) -> Iterator[_Run]:
    for number, text in said:
        if len(text) <= 2 * END:
            yield number, 0, len(text), text
        else:
            yield number, 0, END, text[:END]
            yield number, len(text) - END, len(text), text[-END:]


def _across(ends: Sequence[_Run], joiner: str, find: Find) -> Iterator[Together]:
    """What is found in these as one text, where it is part of more than one."""
    hits = find(joiner.join(text for *_, text in ends))
    starts = [0]
    for *_, text in ends:
        starts.append(starts[-1] + len(text) + len(joiner))
    apart: Apart = {}
    kinds: list[str] = []
    first = 0
    for hit in hits:
        while starts[first + 1] <= hit.start:
            first += 1
        parts: list[tuple[int, Finding]] = []
        for place in range(first, len(ends)):
            number, start, end, _ = ends[place]
            if starts[place] >= hit.end:
                break
            begins, stops = start + max(hit.start - starts[place], 0), start + hit.end - starts[place]
            if begins < min(stops, end):
                parts.append((number, Finding(begins, min(stops, end), hit.kind)))
        if any(one != other for (one, _), (other, _) in pairwise(parts)):
            kinds.append(hit.kind)
            for number, part in parts:
                apart.setdefault(number, []).append(part)
    if kinds:
        yield kinds, apart


def _coded(said: Sequence[tuple[int, str]], find: Find) -> Iterator[Together]:
    """What pieces of a code say together. Words that look like a code may stand between: several choices of pieces are read."""
    opened = _GATES.open("codes", "\n".join(text for _, text in said))
    if "base64" in opened:
        runs = [run for run in _runs(said, _CODED) if len(run[3]) >= _LONG or _LOOKS_CODED.search(run[3])]
        for some in (runs, [run for run in runs if len(run[3]) >= _LONG], _longest(runs)):
            yield from _said_by(some, _base64, find)
    if "hex" in opened:
        runs = [run for run in _runs(said, _HEX) if _DIGIT.search(run[3])]
        for some in (runs, _longest(runs)):
            yield from _said_by(some, _hexadecimal, find)


def _smuggled(said: Sequence[tuple[int, str]], find: Find) -> Iterator[Together]:
    """What is written in tag characters, which no reader sees and a model reads as letters."""
    for number, text in said:
        runs = [] if text.isascii() else list(_TAGS.finditer(text))
        if runs and (hits := find("".join(chr(ord(tag) - _TAG) for run in runs for tag in run[0]))):
            yield [hits[0].kind], {number: [Finding(*run.span(), hits[0].kind) for run in runs]}


def _runs(said: Sequence[tuple[int, str]], pattern: re.Pattern[str]) -> Iterator[_Run]:
    for number, text in said:
        for one in pattern.finditer(text):
            yield number, one.start(), one.end(), one[0]


def _longest(runs: Sequence[_Run]) -> list[_Run]:
    """Of each text the longest one."""
    best: dict[int, _Run] = {}
    for run in runs:
        if run[0] not in best or len(run[3]) > len(best[run[0]][3]):
            best[run[0]] = run
    return list(best.values())


def _said_by(runs: Sequence[_Run], read: Callable[[str], Iterator[bytes]], find: Find) -> Iterator[Together]:
    written = "".join(text.rstrip("=") for *_, text in runs)
    if len(runs) < 2 or len(written) < _LEAST:
        return
    for data in read(written):
        told = "\n".join(one.decode(errors="replace") for one in _TEXT.findall(data))
        if told and (hits := find(told)):
            apart: Apart = {}
            for number, start, end, _ in runs:
                apart.setdefault(number, []).append(Finding(start, end, hits[0].kind))
            yield [hits[0].kind], apart
            return


def _base64(written: str) -> Iterator[bytes]:
    """From each of four signs on: a word that stood before it moves all that follows."""
    plain = written.replace("-", "+").replace("_", "/")
    for skipped in range(4):
        part = plain[skipped:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            yield base64.b64decode(part + "=" * (-len(part) % 4))
        except binascii.Error:  # signs that are of none
            continue


def _hexadecimal(written: str) -> Iterator[bytes]:
    yield bytes.fromhex(written[: len(written) & ~1])
