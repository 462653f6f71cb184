"""Characters that a reader does not see and a model does: zero-width and other format characters, tags, text directions turned
around, and control characters that no text has.

A joiner between letters of a script that needs it, and one within an emoji, is how these are written; a byte order mark at the
beginning is one.
"""

from __future__ import annotations

import re
import unicodedata

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.scan import Scan

INVISIBLE, BIDI, CONTROL = "invisible", "bidi", "control"
_BIDI = "\u202a-\u202e\u2066-\u2069"
_UNSEEN = re.compile(
    rf"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028\u2029{_BIDI}\u2060-\u2065\u206a-\u206f\u3164"
    r"\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]+"
)
_GATE = "unseen"
GATES = {_GATE: re.sub(r"\\[uU]([0-9a-f]{4,8})", r"\\x{\1}", _UNSEEN.pattern)}
_JOINERS = "\u200c\u200d"
_JOINED = ("ARABIC", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM",
           "SINHALA", "KHMER", "MYANMAR", "TIBETAN", "MONGOLIAN", "SYRIAC", "N'KO")  # fmt: skip
_FLAG = "\U0001f3f4"
_MARKS = "\u200e\u200f\u061c"


class Unseen:
    """See `Detector`."""

    longest = LONGEST
    as_written = True
    kinds: tuple[str, ...] = (INVISIBLE, BIDI, CONTROL)

    def __init__(self, kinds: tuple[str, ...] = (INVISIBLE, BIDI, CONTROL)) -> None:
        self.kinds = kinds

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        if not scan.may(_GATE):
            return []
        text = scan.text
        found = []
        for one in _UNSEEN.finditer(text):
            kind = _kind(one[0])
            if kind in self.kinds and not _belongs(text, one.start(), one.end()):
                found.append(Finding(one.start(), one.end(), kind))
        return found

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`: what belongs to a letter is known by the letter after it."""
        end = len(text)
        while end > 0 and len(text) - end < 32 and _UNSEEN.fullmatch(text[end - 1]):
            end -= 1
        return end


def _kind(run: str) -> str:
    if re.search(f"[{_BIDI}]", run):
        return BIDI
    if all(unicodedata.category(letter) == "Cc" for letter in run):
        return CONTROL
    return INVISIBLE


def _belongs(text: str, start: int, end: int) -> bool:
    """Whether the run is part of how the text around it is written."""
    run = text[start:end]
    if run == "\ufeff":
        return start == 0
    if run in ("\u2028", "\u2029", "\u00ad") or (len(run) == 1 and run in _MARKS and _right_to_left(text)):
        return True
    if run[0] >= "\U000e0020" and start > 0 and text[start - 1] == _FLAG:
        return run.endswith("\U000e007f") and len(run) <= 8
    if len(run) > 1 or run not in _JOINERS or start == 0 or end >= len(text):
        return False
    before, after = text[start - 1], text[end]
    if run == "\u200d" and (
        unicodedata.category(after) == "So"
        or before == "\ufe0f"
        or unicodedata.category(before) in ("So", "Sk")
    ):
        return True
    return unicodedata.name(before, "").startswith(_JOINED)


def _right_to_left(text: str) -> bool:
    return any(
        unicodedata.bidirectional(letter) in ("R", "AL") for letter in text[:2_000] if ord(letter) > 0x590
    )
