"""Words that are meant for the model and not for a reader: known phrases that tell it to forget what it was told.

Looked at is what the text says plainly, and what it says when it is folded (look-alike letters, invisible characters, spaced
letters, digits for letters) or decoded (base64, hexadecimal, percent and HTML escapes). The phrases are those of published
attacks; a model that was trained for it finds more (see the `classifier` and `webhook` guards).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

from intellirouter.guards.detectors.phrases import MARKS, PHRASES, UNFOLDED
from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.folding import Folded, spaced
from intellirouter.guards.scan import Scan, Signs, windows

INJECTION = "injection"
_MARKED = (
    "<|", "inst]", "<<sys", "</sys", "system", "assistant:", "assistant]", "assistant*", "developer", "admin>", "instruction",
)  # fmt: skip


class _Known(NamedTuple):
    """The phrases, ready to be looked for; made by the first guard that does."""

    phrases: dict[str, re.Pattern[str]]
    signs: Signs
    mark: re.Pattern[str]
    mark_signs: Signs
    other: re.Pattern[str]


@cache
def _known() -> _Known:
    return _Known(
        {f"{place}": re.compile(rf"(?<!\w)(?:{phrase})") for place, (_, phrase) in enumerate(PHRASES)},
        Signs({f"{place}": literals for place, (literals, _) in enumerate(PHRASES)}),
        re.compile("|".join(f"(?:{one})" for one in MARKS), re.IGNORECASE),
        Signs({"mark": _MARKED}),
        re.compile("|".join(f"(?:{one})" for one in UNFOLDED), re.IGNORECASE),
    )


_BEFORE, _AFTER = 120, 240
"""Characters around a literal in which its phrase stands."""
_SPELLED = re.compile(r"(?<!\w)(?:\w[\W_]{1,2}){5,200}\w(?!\w)")
_PHRASE_JOINED = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)(?:all|the|any|your|of|my)*(?:previous|prior|above|earlier|system|safety|preceding)*(?:instruction|prompt|rule|guideline|direction|restriction)"
    r"|doanythingnow|systemprompt|jailbreak|developermode"
)
_LEET = str.maketrans("013457@$!|", "oieastasii")
_DISGUISED = re.compile(r"[013457@$!|](?:(?<=[a-z].)|(?=[a-z]))")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{24,65536}={0,2}")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-fA-F]{2}[ :]?){16,8192}(?![A-Za-z0-9])")
_ESCAPED = re.compile(
    r"%[0-9A-Fa-f]{2}|&(?:#\d{1,7}|#x[0-9A-Fa-f]{1,6}|[a-z]{2,8});|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}"
)
_SHORTEST_CODE = 24
_DEEPEST = 2
_MOST_DECODED = 64
"""Pieces of one text that are decoded."""


class Injections:
    """See `Detector`."""

    longest = LONGEST
    kinds: tuple[str, ...] = (INJECTION,)

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        return list(_found(scan, 0))

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`: a phrase is some words long."""
        words = text[-240:]
        parts = words.rsplit(" ", 12)
        return len(text) - len(words) + (len(parts[0]) + 1 if len(parts) == 13 else 0)


def _found(scan: Scan, depth: int) -> Iterator[Finding]:
    text, known = scan.text, _known()
    for start, end in windows(
        known.mark_signs.places(scan.folded.text).get("mark", ()), 32, 48, len(text) + 48
    ):
        for mark in known.mark.finditer(text, start, end):
            yield Finding(mark.start(), mark.end(), INJECTION)
    if not text.isascii():
        for other in known.other.finditer(text):
            yield Finding(other.start(), other.end(), INJECTION)
    plain = scan.folded
    yield from _phrases(spaced(plain))
    if _DISGUISED.search(plain.text) is not None:
        yield from _phrases(spaced(Folded(plain.text.translate(_LEET), plain.places)))
    for spelled in _SPELLED.finditer(plain.text) if scan.spelled else ():
        if _PHRASE_JOINED.search(re.sub(r"[\W_]", "", spelled[0])):
            yield Finding(*plain.span(*spelled.span()), INJECTION)
    if depth < _DEEPEST:
        yield from _hidden(scan, depth)


def _phrases(plain: Folded) -> Iterator[Finding]:
    """Phrases in a folded text with single spaces."""
    text, known = plain.text, _known()
    for name, places in known.signs.places(text).items():
        for start, end in windows(places, _BEFORE, _AFTER, len(text)):
            for found in known.phrases[name].finditer(text, start, end):
                yield Finding(*plain.span(*found.span()), INJECTION)


def _hidden(scan: Scan, depth: int) -> Iterator[Finding]:
    """What is written in another code says it all the same."""
    text, tries = scan.text, 0
    codes: list[tuple[re.Pattern[str], Callable[[str], str]]] = []
    if scan.longest_word >= _SHORTEST_CODE:
        codes.append((_BASE64, _from_base64))
    if scan.longest_word >= _SHORTEST_CODE or any(cluster.digits >= 16 for cluster in scan.clusters):
        codes.append((_HEX, _from_hex))
    for pattern, read in codes:
        for piece in pattern.finditer(text):
            tries += 1
            if tries > _MOST_DECODED:
                return
            told = read(piece[0])
            if told and any(True for _ in _found(Scan(told), depth + 1)):
                yield Finding(piece.start(), piece.end(), INJECTION)
    if ("%" in text or "&" in text or "\\" in text) and _ESCAPED.search(text) is not None:
        told = html.unescape(unquote(re.sub(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))", _escape, text)))
        if told != text and any(True for _ in _found(Scan(told), _DEEPEST)):
            yield Finding(0, len(text), INJECTION)


def _escape(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16))


def _from_base64(written: str) -> str:
    plain = written.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(written: str) -> str:
    digits = re.sub(r"[ :]", "", written)
    return _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else ""


def _readable(data: bytes) -> str:
    """The bytes as text, where they are one."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    shown = sum(letter.isprintable() or letter.isspace() for letter in text)
    return text if text and shown >= 0.95 * len(text) else ""
