"""Where a listener of a run's events is, as the id of an event says it, so that whoever comes back is told the rest and no more.

Records are in the order of their ends, by the clock of the node that walked the step; but branches beside one another, and nodes that take
a run over, may write down a step that ended earlier after one that ended later. So an id names the latest record that was told, how many
were, and the newest of them one by one: what is missing among these was written down late, and is still to be told.

Of words, an id says how many were told and how the last of them read: a node that takes a run over asks the model anew, and gets other words.
"""

from __future__ import annotations

import re
import zlib
from bisect import insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.passing import Words

MAX_SIDE_BY_SIDE = 100
"""Steps of a run whose words are told as they come."""
NEWEST = 64
"""Records that an id names one by one."""
TAIL = 64
"""Characters by whose end two texts are told apart."""
_RANGE = r"\d{1,9}(?:_\d{1,9})?"
_WORDS = r"[0-9a-f]{8}\.\d{1,4}\.\d{1,7}(?:\.[0-9a-f]{8})?"
_ID = re.compile(  # a comma between any two, so that no text can be read in more ways than one
    r"(-?\d{1,16})-(-?\d{1,9})"
    rf"(?:\*(\d{{1,9}})!((?:{_RANGE}(?:,{_RANGE}){{0,63}})?))?"
    rf"(?:~({_WORDS}(?:,{_WORDS}){{0,99}}))?"
)

Step = dict[str, Any]
Mark = tuple[int, int]
"""The end of a record in milliseconds, and its number."""


@dataclass(slots=True)
class Place:
    """`record`: the latest that was told; `count`: how many were, None where an id of an earlier version does not say;
    `newest`: the latest of them; `words`: how much of which words of steps under way."""

    record: Mark = (-1, -1)
    count: int | None = 0
    listed: frozenset[int] = frozenset()
    words: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    newest: list[Mark] = field(default_factory=list)
    _numbers: set[int] | None = None
    """Of all that was told; None until the records were looked at."""
    _paths: set[str] = field(default_factory=set)
    """Steps whose record was told, and with it all their words."""

    @classmethod
    def read(cls, given: str) -> Place:
        """From an event's id. Raises `InvalidRequest`."""
        if not given:
            return cls()
        found = _ID.fullmatch(given)
        numbers = _numbers(found[4] or "") if found else None
        if found is None or numbers is None:
            raise InvalidRequest("'Last-Event-ID' is the id of an event of this run.", param="Last-Event-ID")
        words = {}
        for each in filter(None, (found[5] or "").split(",")):
            step, attempt, length, *tail = each.split(".")
            words[step] = (int(attempt), int(length), tail[0] if tail else "")
        count = None if found[3] is None else int(found[3])
        return cls((int(found[1]), int(found[2])), count, numbers, words)

    def text(self) -> bytes:
        """The id of an event that leaves a listener here."""
        words = ",".join(".".join(map(str, (step, *told))).rstrip(".") for step, told in self.words.items())
        count = len(self._numbers or ())
        told = f"*{count}!{_ranges(sorted(number for _, number in self.newest))}" if count else ""
        return f"{self.record[0]}-{self.record[1]}{told}{f'~{words}' if words else ''}".encode()

    # records

    def due(self, steps: Sequence[Step]) -> list[Step]:
        """Those of the recorded steps that are still to be told, in the order of their ends."""
        marked = sorted(((_mark(step), step) for step in steps), key=lambda pair: pair[0])
        numbers = self._numbers
        if numbers is None:
            numbers = self._numbers = self._remembered([mark for mark, _ in marked])
            # of what is recorded by then only those words are told of which the listener has some
            self._paths = {
                step["path"]
                for _, step in marked
                if step["number"] in numbers or _word(step["path"]) not in self.words
            }
        return [step for _, step in marked if step["number"] not in numbers]

    def told(self, step: Step) -> None:
        """This one was told."""
        mark = _mark(step)
        if self._numbers is None:
            self._numbers = set()
        self._numbers.add(mark[1])
        self._paths.add(step["path"])
        self.record = max(self.record, mark)
        insort(self.newest, mark)
        del self.newest[:-NEWEST]

    def _remembered(self, marks: Sequence[Mark]) -> set[int]:
        """Which of the records the listener was told before it came back."""
        before = [mark for mark in marks if mark <= self.record]
        listed = [mark for mark in before if self.count is None or mark[1] in self.listed]
        older = [mark for mark in before if listed and mark < listed[0]]
        # more than were told: something was written down very late, and nobody knows what, so that all of these are told again
        whole = self.count is None or len(older) == self.count - len(listed)
        told = [*older, *listed] if whole else listed
        self.newest = told[-NEWEST:]
        return {number for _, number in told}

    # words

    def new(self, said: Mapping[str, Words]) -> list[tuple[dict[str, Any], str, str]]:
        """The words that the listener has not been told, each with what `behind` wants to know of them."""
        found = []
        known = {_word(path): (path, words) for path, words in said.items() if path not in self._paths}
        self.words = {step: told for step, told in self.words.items() if step in known}
        for step, (path, (attempt, text)) in list(known.items())[:MAX_SIDE_BY_SIDE]:
            before, length, tail = self.words.get(step, (attempt, 0, ""))
            same = before == attempt and (not tail or len(text) < length or _tail(text[:length]) == tail)
            offset = length if same else 0
            if len(text) > offset:
                words = {"step": path, "attempt": attempt, "offset": offset, "text": text[offset:]}
                found.append((words, step, _tail(text)))
        return found

    def behind(self, words: dict[str, Any], step: str, tail: str) -> None:
        """These were told."""
        self.words[step] = (words["attempt"], words["offset"] + len(words["text"]), tail)


def _word(text: str) -> str:
    """Eight characters that stand for a text."""
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _tail(text: str) -> str:
    """How a text ends."""
    return _word(text[-TAIL:])


def _mark(step: Step) -> Mark:
    return int((step["ended_at"] or 0) * 1e3), step["number"]


def _ranges(numbers: Collection[int]) -> str:
    """Numbers in order, as in `1_4,7`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("_".join(map(str, part)) for part in parts)


def _numbers(text: str) -> frozenset[int] | None:
    """What `_ranges` wrote; None where it cannot have."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("_")
        if int(last or first) - int(first) not in range(NEWEST):
            return None
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found) if len(found) <= NEWEST else None
