"""Placeholders: what a model is shown in place of what it must not see, and what its caller gets back.

`<EMAIL_1>` is the first e-mail address of a request, in the order in which it is read, so that a conversation that grows keeps
its numbers and a provider's prefix cache its prefix. What looks like a placeholder in the request itself is left alone and its
number is not given away. The map lives as long as the request and nowhere else.
"""

from __future__ import annotations

import importlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from intellirouter.guards.escapes import ends_in_escape
from intellirouter.guards.finding import Finding

LABELS = {
    "email": "EMAIL",
    "phone": "PHONE",
    "card": "CARD",
    "iban": "IBAN",
    "national_id": "ID",
    "ip": "IP",
    "address": "ADDRESS",
    "secret": "SECRET",
}
NOTHING = frozenset({"invisible", "bidi", "control"})
"""Kinds in whose place nothing is put."""
_WRITTEN = re.compile(
    r"(?:<|\\\\u003c|\\u003c|&lt;|\\<)[A-Z0-9_]{1,64}(?:>|\\\\u003e|\\u003e|&gt;|\\>)", re.IGNORECASE
)
"""A placeholder as models write it; which of these are some of ours is looked up."""
_LOOKS_SO = re.compile(r"<([A-Z][A-Z0-9_]{0,40}_\d{1,6})>", re.IGNORECASE)


def label_of(kind: str) -> str:
    """What stands in a placeholder of this kind."""
    return LABELS.get(kind) or re.sub(r"[^A-Z0-9]+", "_", kind.upper()).strip("_")[:40] or "MASKED"


def mask_of(kind: str) -> str:
    """What stands in place of something that does not come back."""
    return "" if kind in NOTHING else f"<{label_of(kind)}>"


class Placeholders:
    """The placeholders of one request."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}
        self._known: Any = None
        self._back: Restoring | None = None

    def __bool__(self) -> bool:
        return bool(self._of)

    def leave(self, text: str) -> None:
        """Do not give away numbers that the text uses itself."""
        if "_" in text and "<" in text:
            self._taken.update(found[1].upper() for found in _LOOKS_SO.finditer(text))

    def of(self, kind: str, value: str) -> str:
        """The placeholder that stands for a value; the same one each time."""
        made = self._of.get(value)
        if made is None:
            label = label_of(kind)
            number = self._counts.get(label, 0) + 1
            while f"{label}_{number}" in self._taken:
                number += 1
            self._counts[label] = number
            made = self._of[value] = f"<{label}_{number}>"
            self._values[made] = value
            self._known = self._back = None
        return made

    def hide(self, text: str) -> str:
        """The text with every value that has a placeholder replaced, wherever it stands as a whole."""
        if not self._of:
            return text
        if self._known is None:
            self._known = importlib.import_module("ahocorasick").Automaton()
            for value, made in self._of.items():
                self._known.add_word(value, (len(value), made))
                self._known.add_word(made, (len(made), made))  # what stands for something holds no value
            self._known.make_automaton()
        out: list[str] = []
        last = 0
        for end, (length, made) in self._known.iter_long(text):
            start = end - length + 1
            if length == len(made) and text.startswith(made, start):
                continue
            if start < last or _inside(text, start - 1, start) or _inside(text, end, end + 1):
                continue
            out += (text[last:start], made)
            last = end + 1
        return "".join((*out, text[last:])) if out else text

    def beside(self, text: str, found: Sequence[Finding]) -> list[Finding]:
        """Of findings the stretches that are no placeholder of ours: what one stands for must come back whole."""
        taken = self.back.spans(text) if self._of else []
        if not taken:
            return list(found)
        return [
            Finding(start, end, one.kind)
            for one in found
            for start, end in _between(one, taken)
            if any(map(str.isalnum, text[start:end]))
        ]

    @property
    def back(self) -> Restoring:
        """What gives the values back."""
        if self._back is None:
            self._back = Restoring(self._values)
        return self._back


def _between(one: Finding, taken: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What a finding holds before, between and behind these stretches."""
    start = one.start
    for first, last in taken:
        if start < last and first < one.end:
            if start < first:
                yield start, first
            start = last
    if start < one.end:
        yield start, one.end


def _inside(text: str, before: int, after: int) -> bool:
    """Whether two neighbouring characters are of one word; the last one of an escape, as JSON has them, is of none."""
    whole = before >= 0 and after < len(text) and text[before].isalnum() and text[after].isalnum()
    return whole and not ends_in_escape(text, after)


class Restoring:
    """Puts values back, however a model writes their placeholders: in another case, or with its brackets escaped."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values: dict[str, str] = {}
        for made, value in values.items():
            name = made[1:-1]
            for left, right in (
                ("<", ">"),
                ("\\u003c", "\\u003e"),
                ("&lt;", "&gt;"),
                ("\\<", "\\>"),
                ("\\\\u003c", "\\\\u003e"),
            ):
                self._values[f"{left}{name}{right}".lower()] = value
        self._longest = max(map(len, self._values), default=0)
        self._forms = sorted(self._values)

    def whole(self, text: str, *, in_json: bool = False) -> str:
        """The text with the values back. `in_json`: it is JSON as it is written, so that a value's quotes are escaped."""
        if not self._values or "_" not in text:
            return text
        return _WRITTEN.sub(lambda found: self._value(found[0], in_json=in_json), text)

    def _value(self, written: str, *, in_json: bool) -> str:
        value = self._values.get(written.lower())
        if value is None:  # it only looks like one
            return written
        return json.dumps(value, ensure_ascii=False)[1:-1] if in_json else value

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where placeholders stand."""
        if not self._values or "_" not in text:
            return []
        return [found.span() for found in _WRITTEN.finditer(text) if found[0].lower() in self._values]

    def open_at(self, text: str) -> int:
        """From where the end of the text could be the beginning of a placeholder."""
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[start] in "<\\&":
                tail = text[start:].lower()
                place = bisect_left(self._forms, tail)
                begins = place < len(self._forms) and self._forms[place].startswith(tail)
                if begins and tail not in self._values:
                    return start
        return len(text)
