"""One text under examination: what several detectors need of it is worked out once, and only when one of them asks."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from intellirouter.guards.folding import Folded, folded
from intellirouter.guards.gates import FOLDED, Gates

_DIGITS = re.compile(r"[0-9]+")
_GAP = 4
"""Characters between two runs of digits that are still of one number."""


class Cluster(NamedTuple):
    """Digits that stand together, with what may stand before and between them. `digits` is their number."""

    start: int
    end: int
    digits: int


class Scan:
    """A text, and what is known of it. `gates` say what may be in it; without them anything may."""

    __slots__ = ("_beyond", "_clusters", "_folded", "_open", "gates", "text")

    def __init__(self, text: str, gates: Gates | None = None, beyond: frozenset[str] | None = None) -> None:
        self.text = text
        self._beyond = beyond
        self.gates = gates
        self._open: dict[str, frozenset[str]] = {}
        self._clusters: list[Cluster] | None = None
        self._folded: Folded | None = None

    def may(self, gate: str) -> bool:
        """Whether something in the text goes through this gate."""
        if self.gates is None:
            return True
        group = self.gates.group_of[gate]
        found = self._open.get(group)
        if found is None:
            text = self.folded.text if group == FOLDED else self.text
            found = self._open[group] = self.gates.open(group, text)
        return gate in found

    def read_as(self, folded: Folded) -> Scan:
        """The same text, read in another way."""
        other = Scan(self.text, self.gates)
        other._folded = folded
        return other

    @property
    def folded(self) -> Folded:
        """The text in lower case and plain letters."""
        if self._folded is None:
            self._folded = folded(self.text, self._beyond)
        return self._folded

    @property
    def clusters(self) -> list[Cluster]:
        """Where digits stand together."""
        if self._clusters is None:
            self._clusters = _clusters(self.text)
        return self._clusters


def _clusters(text: str) -> list[Cluster]:
    found: list[Cluster] = []
    start = end = -1
    digits = 0
    for run in _DIGITS.finditer(text):
        first, last = run.span()
        if digits and first - end <= _GAP:
            digits += last - first
        else:
            if digits:
                found.append(Cluster(start, end, digits))
            start, digits = first, last - first
        end = last
    if digits:
        found.append(Cluster(start, end, digits))
    return found


class Signs:
    """Many literals, looked for in one pass (Aho-Corasick): each says which of `names` may be there."""

    def __init__(self, signs: Mapping[str, Iterable[str]]) -> None:
        gathered: dict[str, list[str]] = {}
        for name, literals in signs.items():
            for literal in literals:
                gathered.setdefault(literal, []).append(name)
        self._automaton: Any = importlib.import_module("ahocorasick").Automaton()
        for literal, names in gathered.items():
            self._automaton.add_word(literal, tuple(names))
        self._automaton.make_automaton()

    def places(self, text: str) -> dict[str, list[int]]:
        """For each name the last characters of its literals in `text`."""
        found: dict[str, list[int]] = {}
        for last, names in self._automaton.iter(text):
            for name in names:
                found.setdefault(name, []).append(last)
        return found


def windows(places: Iterable[int], before: int, after: int, length: int) -> list[tuple[int, int]]:
    """Stretches around places that are in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for place in places:
        start, end = max(0, place - before), min(place + after, length)
        if found and start <= found[-1][1]:
            start, _ = found.pop()
        found.append((start, end))
    return found
