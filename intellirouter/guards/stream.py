"""A text that comes in pieces: looked at as it grows, given on as soon as it is certain.

Held back is only what could still become something that is looked for, or a placeholder, and never more than the longest thing a detector finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from intellirouter.guards.finding import Detector, Finding
from intellirouter.guards.placeholders import Restoring

_CONTEXT = 64
"""Characters before what is held that are looked at with it: a word that names a number stands before it."""

Hear = Callable[[list[Finding], str], tuple[str, bool]]
"""Told findings and the text they are in; says what the text becomes, and whether no more may go out."""


class Watched:
    """Detectors over one growing text."""

    def __init__(
        self, detectors: Sequence[Detector], find: Callable[[str], list[Finding]], hear: Hear
    ) -> None:
        self._detectors = detectors
        self._longest = max((one.longest for one in detectors), default=0)
        self._find = find
        self._hear = hear
        self._context = ""
        self._held = ""
        self.ended = False

    def feed(self, text: str) -> str:
        """What may go on now."""
        if self.ended:
            return ""
        self._held += text
        whole = self._context + self._held
        ready = min((one.open_at(whole) for one in self._detectors), default=len(whole))
        ready = max(ready, len(whole) - self._longest, len(self._context))
        return self._upto(whole, ready, last=False) if ready > len(self._context) else ""

    def rest(self) -> str:
        """The end of the text."""
        whole = self._context + self._held
        return "" if self.ended or not self._held else self._upto(whole, len(whole), last=True)

    def _upto(self, whole: str, ready: int, *, last: bool) -> str:
        known = len(self._context)
        findings = [one for one in self._find(whole) if one.end > known]
        for one in findings:
            if one.start < ready < one.end and not last:  # it may be longer still
                held = len(whole) - one.start < self._longest
                ready = max(known, one.start) if held else one.end
        mine = [
            Finding(max(one.start, known) - known, one.end - known, one.kind)
            for one in findings
            if one.end <= ready
        ]
        text, self.ended = self._hear(mine, whole[known:ready]) if mine else (whole[known:ready], False)
        self._context = whole[max(0, ready - _CONTEXT) : ready]
        self._held = whole[ready:]
        return text


class Returned:
    """Placeholders of one growing text given back as what they stand for."""

    def __init__(self, back: Restoring, *, in_json: bool = False) -> None:
        self._back = back
        self._in_json = in_json
        self._held = ""

    def feed(self, text: str) -> str:
        """What may go on now."""
        whole = self._held + text
        ready = self._back.open_at(whole)
        self._held = whole[ready:]
        return self._back.whole(whole[:ready], in_json=self._in_json)

    def rest(self) -> str:
        """The end of the text."""
        rest, self._held = self._held, ""
        return self._back.whole(rest, in_json=self._in_json)
