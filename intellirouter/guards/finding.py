"""What a detector found, and what a detector is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from intellirouter.guards.scan import Scan

LONGEST = 512
"""Characters that a stream is held back by at most, where a detector does not look for longer things."""


class Finding(NamedTuple):
    """A stretch of a text, by character, and what kind of thing it is."""

    start: int
    end: int
    kind: str


class Detector(Protocol):
    """Finds one kind of thing, or several, in a text."""

    kinds: tuple[str, ...]
    longest: int
    """Characters of the longest thing that it finds."""
    as_written: bool
    """Whether it looks at what is not seen too, or sees through it by itself."""

    def find(self, scan: Scan) -> list[Finding]:
        """Where they are, in no particular order; they may overlap."""

    def open_at(self, text: str) -> int:
        """From where the end of the text could still become part of something when more follows; its length where nothing could."""
