"""Words that are meant for the model and not for a reader: known phrases that tell it to forget what it was told.

Looked at is what the text says plainly, and what it says when it is folded (look-alike letters, invisible characters, spaced
letters, digits for letters) or decoded (base64, hexadecimal, percent and HTML escapes). The phrases are those of published
attacks; a model that was trained for it finds more (see the `webhook` guard).
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
from intellirouter.guards.folding import Folded, spaced, worded
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Scan, Signs, windows

INJECTION = "injection"


class _Known(NamedTuple):
    """The phrases, ready to be looked for; made by the first guard that does."""

    phrases: dict[str, re.Pattern[str]]
    signs: Signs
    mark: re.Pattern[str]
    other: re.Pattern[str]


@cache
def _known() -> _Known:
    return _Known(
        {f"{place}": re.compile(rf"(?<!\w)(?:{phrase})") for place, (_, phrase) in enumerate(PHRASES)},
        Signs({f"{place}": literals for place, (literals, _) in enumerate(PHRASES)}),
        re.compile("|".join(f"(?:{one})" for one in MARKS), re.IGNORECASE),
        re.compile("|".join(f"(?:{one})" for one in UNFOLDED), re.IGNORECASE),
    )


_MARK_GATE, _OTHER_GATE = "mark", "other script"
_PHRASE_GATE, _LEET_GATE, _SPELLED_GATE = "phrase", "digits for letters", "spelled"
_ROT13_GATE, _BACKWARDS_GATE = "rot13", "backwards"
_BASE64_GATE, _BASE32_GATE, _HEX_GATE, _BINARY_GATE, _ESCAPED_GATE = (
    "base64",
    "base32",
    "hex",
    "binary",
    "escaped",
)
_BEFORE, _AFTER = 120, 240
"""Characters around a literal in which its phrase stands."""
_SPELLED = re.compile(r"(?<!\w)(?:\w[\W_]{1,2}){5,200}\w(?!\w)")
_PHRASE_JOINED = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)(?:all|the|any|your|of|my)*(?:previous|prior|above|earlier|system|safety|preceding)*(?:instruction|prompt|rule|guideline|direction|restriction)"
    r"|doanythingnow|systemprompt|jailbreak|developermode"
)
_LEET = str.maketrans("013457@$", "oieastas")
_BAR = re.compile(r"[!|](?=[a-z])")
_ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{20,65536}(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/_-]{2,128}){0,1024}={0,2}"
)
_BASE32 = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z2-7]{24,65536}|[a-z2-7]{24,65536})={0,6}(?![A-Za-z0-9])")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:(?:0x|\\x)?[0-9a-fA-F]{2}[ :,-]{0,2}){12,8192}(?![A-Za-z0-9])")
_BINARY = re.compile(r"(?<![A-Za-z0-9])(?:[01]{8}[ ,]{0,2}){12,8192}(?![A-Za-z0-9])")
_ESCAPED = re.compile(
    r"(?:%[0-9A-Fa-f]{2}){1,64}|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[a-zA-Z]{2,8});|\\u[0-9a-fA-F]{4}|\\u\{0{0,4}[0-9a-fA-F]{1,5}\}|\\x[0-9a-fA-F]{2}"
)
_DEEPEST = 2
_MOST_DECODED = 64
"""Pieces of one text that are decoded."""


HIDDEN_GATES = {
    _MARK_GATE: "(?i)" + "|".join(f"(?:{loosened(one)})" for one in MARKS),
    _OTHER_GATE: "(?i)" + "|".join(f"(?:{loosened(one)})" for one in UNFOLDED),
    _BASE64_GATE: r"[A-Za-z0-9+/_-]{20}",
    _BASE32_GATE: r"[A-Z2-7]{24}|[a-z2-7]{24}",
    _HEX_GATE: loosened(_HEX.pattern),
    _BINARY_GATE: r"(?:[01]{8}[ ,]*){12}",
    _ESCAPED_GATE: loosened(_ESCAPED.pattern),
}
FOLDED_GATES = {
    _PHRASE_GATE: "|".join(f"(?:{loosened(phrase, gaps=True)})" for _, phrase in PHRASES),
    _ROT13_GATE: "vtaber|qvfertneq|sbetrg|olcnff|bireevqr|vafgehpgvba|cebzcg",
    _BACKWARDS_GATE: "erongi|dragersid|tegrof|ssapyb|edirrevo|noitcurtsni|tpmorp",
    _LEET_GATE: r"[013457@$!|][a-z]|[a-z][013457@$!|]",
    _SPELLED_GATE: loosened(_SPELLED.pattern),
}


class Injections:
    """See `Detector`."""

    longest = LONGEST
    as_written = False
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
    if scan.may(_MARK_GATE):
        for mark in known.mark.finditer(text):
            yield Finding(mark.start(), mark.end(), INJECTION)
    if not text.isascii() and scan.may(_OTHER_GATE):
        for other in known.other.finditer(text):
            yield Finding(other.start(), other.end(), INJECTION)
    yield from _phrases(scan)
    plain = scan.folded
    if scan.may(_LEET_GATE):
        yield from _phrases(scan.read_as(_without_digits(plain)))
    if scan.may(_ROT13_GATE):
        yield from _phrases(scan.read_as(plain.becomes(plain.text.translate(_ROT13))))
    if scan.may(_BACKWARDS_GATE) and any(True for _ in _phrases(Scan(text[::-1]))):
        yield Finding(0, len(text), INJECTION)
    if scan.may(_SPELLED_GATE):
        for spelled in _SPELLED.finditer(plain.text):
            if _PHRASE_JOINED.search(re.sub(r"[\W_]", "", spelled[0])):
                yield Finding(*plain.span(*spelled.span()), INJECTION)
    if depth < _DEEPEST:
        yield from _hidden(scan, depth)


def _without_digits(plain: Folded) -> Folded:
    text = plain.text.translate(_LEET)
    return plain.becomes(_BAR.sub("i", text) if "!" in text or "|" in text else text)


def _phrases(scan: Scan) -> Iterator[Finding]:
    """Phrases in the folded text, with single spaces and with none but letters between its words."""
    if not scan.may(_PHRASE_GATE):
        return
    plain = spaced(scan.folded)
    yield from _phrases_in(plain)
    words = worded(plain)
    if words is not plain:
        yield from _phrases_in(words)


def _phrases_in(plain: Folded) -> Iterator[Finding]:
    text, known = plain.text, _known()
    for name, places in known.signs.places(text).items():
        for start, end in windows(places, _BEFORE, _AFTER, len(text)):
            for found in known.phrases[name].finditer(text, start, end):
                yield Finding(*plain.span(*found.span()), INJECTION)


def _hidden(scan: Scan, depth: int) -> Iterator[Finding]:
    """What is written in another code says it all the same."""
    text, tries = scan.text, 0
    for gate, pattern, read in _CODES:
        if not scan.may(gate):
            continue
        for piece in pattern.finditer(text):
            tries += 1
            if tries > _MOST_DECODED:
                return
            if any(_says(told, scan, depth) for told in read(piece[0])):
                yield Finding(piece.start(), piece.end(), INJECTION)
    if scan.may(_ESCAPED_GATE):
        told = _unescaped(text)
        for one in _found(Scan(told.text, scan.gates), depth + 1) if told.text != text else ():
            start, end = told.span(one.start, one.end)
            last = _ESCAPED.match(text, end - 1)
            yield Finding(start, last.end() if last is not None else end, INJECTION)


def _says(told: str, scan: Scan, depth: int) -> bool:
    return bool(told) and any(True for _ in _found(Scan(told, scan.gates), depth + 1))


def _unescaped(text: str) -> Folded:
    """The text with each escape read as what it stands for."""
    out: list[str] = []
    places: list[int] = []
    last = 0
    for escape in _ESCAPED.finditer(text):
        read = _read(escape[0])
        out += (text[last : escape.start()], read)
        places.extend(range(last, escape.start()))
        places.extend([escape.start()] * len(read))
        last = escape.end()
    out.append(text[last:])
    places.extend(range(last, len(text)))
    return Folded("".join(out), lambda: places)


def _read(escape: str) -> str:
    if escape[0] == "%":
        return unquote(escape)
    return html.unescape(escape) if escape[0] == "&" else chr(int(escape[2:].strip("{}"), 16))


def _from_base64(written: str) -> Iterator[str]:
    """Its lines together, and each by itself where that says nothing."""
    lines = written.split()
    together = _base64("".join(lines))
    if together or len(lines) == 1:
        yield together
        return
    yield _base64("".join(lines[:-1]))  # a word may follow in the next line
    yield from map(_base64, lines[:_MOST_DECODED])


def _base64(written: str) -> str:
    plain = written.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _from_base32(written: str) -> Iterator[str]:
    plain = written.rstrip("=").upper()
    try:
        yield _readable(base64.b32decode(plain + "=" * (-len(plain) % 8)))
    except (binascii.Error, ValueError):
        return


def _from_hex(written: str) -> Iterator[str]:
    digits = re.sub(r"0x|[^0-9a-fA-F]", "", written)
    if len(digits) % 2 == 0:
        yield _readable(bytes.fromhex(digits))


def _from_binary(written: str) -> Iterator[str]:
    yield _readable(bytes(int(byte, 2) for byte in re.findall(r"[01]{8}", written)))


def _readable(data: bytes) -> str:
    """The bytes as text, where they are one; of UTF-16 as well."""
    if data.count(0) * 2 >= len(data) - 1:
        data = data.replace(b"\0", b"")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    shown = sum(letter.isprintable() or letter.isspace() for letter in text)
    return text if text and shown >= 0.95 * len(text) else ""


_CODES: tuple[tuple[str, re.Pattern[str], Callable[[str], Iterator[str]]], ...] = (
    (_BASE64_GATE, _BASE64, _from_base64),
    (_BASE32_GATE, _BASE32, _from_base32),
    (_HEX_GATE, _HEX, _from_hex),
    (_BINARY_GATE, _BINARY, _from_binary),
)
