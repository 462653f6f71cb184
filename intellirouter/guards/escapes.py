"""Texts that hold JSON, or parts of programs: what an escape such as `\\n` or `\\u0040` stands for, and where it stands.

Without it the number in `{"note": "card:\\n4111…"}` begins with a letter, and is none.
"""

from __future__ import annotations

import re

ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrtbf\"'/\\])")
_BEFORE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrtbf])\Z")
_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class Unescaped:
    """A text with its escapes read."""

    __slots__ = ("_ends", "_starts", "text")

    def __init__(self, written: str) -> None:
        out: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        last = 0
        for escape in ESCAPE.finditer(written):
            start, end = escape.span()
            out += (written[last:start], _read(escape[0]))
            starts.extend(range(last, start + 1))
            ends.extend(range(last + 1, start + 1))
            ends.append(end)
            last = end
        out.append(written[last:])
        starts.extend(range(last, len(written)))
        ends.extend(range(last + 1, len(written) + 1))
        self.text = "".join(out)
        self._starts, self._ends = starts, ends

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch as it was written."""
        return self._starts[start], self._ends[end - 1]


def read(written: str) -> str:
    """The text with its escapes read."""
    return ESCAPE.sub(lambda found: _read(found[0]), written) if "\\" in written else written


def ends_in_escape(text: str, place: int) -> bool:
    """Whether what stands before `place` is an escape, and no letter of a word."""
    return _BEFORE.search(text, max(0, place - 6), place) is not None


def _read(escape: str) -> str:
    return chr(int(escape[2:], 16)) if escape[1] == "u" else _SIGNS.get(escape[1], escape[1])
