"""A text as every guard of a request reads it: worked out once, in pieces that take some milliseconds each."""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.guards.escapes import ESCAPE, Unescaped
from intellirouter.guards.finding import Detector, Finding
from intellirouter.guards.folding import Folded, letters_beyond, visible
from intellirouter.guards.scan import Scan
from intellirouter.guards.table import GATES, settled

PIECE = 100_000
"""Characters that are looked at in one go: some milliseconds."""
OVERLAP = 4_096
"""Characters that two pieces share, so that nothing is cut in half."""


class Reading:
    """A text as it was written, and without what is not seen."""

    __slots__ = ("_pieces", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces: tuple[_Piece, ...] | None = None

    def find(self, detectors: Iterable[Detector]) -> list[Finding]:
        """Everything that these find, in order and without overlap."""
        if self._pieces is None:
            self._pieces = tuple(_pieces(self.text))
        found = [one for piece in self._pieces for detector in detectors for one in piece.find(detector)]
        if len(self._pieces) > 1:
            found = list(dict.fromkeys(found))
        return settled(found)


class _Piece:
    """A stretch of the text, which begins at `start`."""

    __slots__ = ("_escaped", "_read", "_read_scan", "_scan", "_seen", "_start", "_written")

    def __init__(self, text: str, start: int) -> None:
        self._start = start
        self._escaped = Unescaped(text) if "\\" in text and ESCAPE.search(text) else None
        self._read: Folded | None = None
        self._read_scan: Scan
        beyond = letters_beyond(text)
        self._written = self._scan = Scan(text, GATES, beyond)
        self._seen: Folded | None = None
        if beyond and (seen := visible(text, beyond)).text != text:
            self._seen, self._scan = seen, Scan(seen.text, GATES, beyond)

    def find(self, detector: Detector) -> list[Finding]:
        """What a detector finds in it, by place in the whole text; also behind escapes, as JSON has them."""
        seen, start = self._seen, self._start
        if seen is None or detector.as_written:
            found = detector.find(self._written)
        else:
            found = [Finding(*seen.span(one.start, one.end), one.kind) for one in detector.find(self._scan)]
        if self._escaped is not None and not detector.as_written:
            found += self._behind_escapes(self._escaped, detector)
        return [Finding(one.start + start, one.end + start, one.kind) for one in found] if start else found

    def _behind_escapes(self, escaped: Unescaped, detector: Detector) -> list[Finding]:
        if self._read is None:
            self._read = visible(escaped.text)
            self._read_scan = Scan(self._read.text, GATES)
        return [
            Finding(*escaped.span(*self._read.span(one.start, one.end)), one.kind)
            for one in detector.find(self._read_scan)
        ]


def _pieces(text: str) -> Iterable[_Piece]:
    if len(text) <= PIECE:
        return (_Piece(text, 0),)
    return (_Piece(text[start : start + PIECE], start) for start in range(0, len(text), PIECE - OVERLAP))
