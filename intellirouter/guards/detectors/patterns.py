"""Regular expressions of the operator, in RE2, whose time grows with the text and no faster; `bounds/patterns.py` compiles them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.scan import Scan

PATTERN = "pattern"


class Patterns:
    """See `Detector`. `longest`: characters that a match in a stream may span."""

    longest = LONGEST
    as_written = False

    def __init__(self, patterns: Sequence[Any], kind: str = PATTERN, longest: int = 128) -> None:
        self.kinds: tuple[str, ...] = (kind,)
        self._patterns = tuple(patterns)
        self._longest = min(longest, LONGEST)

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        text = scan.text
        try:
            text.encode()
        except UnicodeError:  # a lone surrogate, which no UTF-8 has
            text = text.encode("utf-8", "replace").decode()
        return [
            Finding(one.start(), one.end(), self.kinds[0])
            for pattern in self._patterns
            for one in pattern.finditer(text)
            if one.end() > one.start()
        ]

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`."""
        return max(0, len(text) - self._longest)
