"""What has to be in a text for a detector to find something there: one pass over the text says which of them need look closer.

A gate is a looser form of what its detector looks for, without look-around and with its bounds left open, so that whatever the
detector finds goes through its gate. Gates are RE2 sets: one pass of a DFA for all of them, a few microseconds for two
kilobytes, and linear in any text.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

_MEMORY = 16 << 20
"""Bytes that one set may take while it searches."""
_BEYOND = r"\x{80}-\x{10ffff}"
"""What is not ASCII: taken for a letter and for space where either is looked for, which keeps the automaton small."""
_WIDER = {r"\s": rf"\s\x0b\x1c-\x1f{_BEYOND}", r"\w": rf"\w{_BEYOND}"}
_GAP = "[^a-z0-9]+"
_SIGNS = r"\x00-/:-@\[-`{-\x{10ffff}"
FOLDED = "folded"
"""The group whose gates are for the folded text."""


class Gates:
    """Patterns by name in groups; a group is one pass."""

    def __init__(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        self.group_of = {name: group for group, gates in groups.items() for name in gates}
        self._names = {group: tuple(gates) for group, gates in groups.items()}
        self._patterns = groups
        self._sets: dict[str, Any] = {}

    def open(self, group: str, text: str) -> frozenset[str]:
        """The names of the gates through which something in the text goes."""
        made = self._sets.get(group)
        if made is None:  # by the first text
            made = self._sets[group] = _set(self._patterns[group].values())
        found: list[int] | None = made.Match(text.encode("utf-8", "replace"))
        return frozenset(map(self._names[group].__getitem__, found)) if found else _NONE


_NONE: frozenset[str] = frozenset()


def _set(patterns: Iterable[str]) -> Any:
    re2: Any = importlib.import_module("re2")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    made = re2.Set.SearchSet(options)
    for pattern in patterns:
        made.Add(pattern)
    made.Compile()
    return made


def loosened(pattern: str, *, gaps: bool = False) -> str:
    """A pattern of Python's as one of RE2's that fits wherever it does: letters and space of all scripts, no look-around, counts without
    an upper bound. `gaps`: a space stands for whatever is no letter and no digit."""
    out: list[str] = []
    place, in_class = 0, False
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            pair = pattern[place : place + 2]
            wide = _WIDER.get(pair)
            out.append(pair if wide is None else wide if in_class else f"[{wide}]")
            place += 2
        elif in_class or sign == "[":
            if not in_class and pattern.startswith("[^", place):
                end = _class_end(pattern, place)
                out.append(
                    pattern[place:end]
                )  # what RE2 takes for letters and space is less than what Python does
                place = end
                continue
            out.append(_SIGNS if gaps and sign == " " else sign)
            in_class = sign != "]"
            place += 1
        elif pattern.startswith(("(?=", "(?!", "(?<=", "(?<!"), place):
            place = _group_end(pattern, place)
        elif sign == "{" and (end := pattern.index("}", place)):
            least, comma, _ = pattern[place + 1 : end].partition(",")
            out.append(
                {"0": "*", "1": "+"}.get(least, f"{{{least},}}") if comma else pattern[place : end + 1]
            )
            place = end + 1
        else:
            out.append(f"(?:{_GAP})" if gaps and sign == " " else sign)
            place += 1
    return "".join(out)


def _class_end(pattern: str, start: int) -> int:
    place = start + 2
    while pattern[place] != "]" or place == start + 2:
        place += 2 if pattern[place] == "\\" else 1
    return place + 1


def _group_end(pattern: str, start: int) -> int:
    """Behind the group that begins here."""
    depth, place = 0, start
    while True:
        sign = pattern[place]
        if sign == "\\":
            place += 2
            continue
        if sign == "[":
            place = pattern.index("]", place + 2)
        depth += (sign == "(") - (sign == ")")
        place += 1
        if depth == 0:
            return place
