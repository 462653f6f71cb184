"""What somebody who was asked says of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from intellirouter.errors import UpstreamProtocolError
from intellirouter.guards.finding import Finding
from intellirouter.guards.guard import Guard

MAX_ANSWER = 4 << 20
MAX_TEXTS = 2_000
"""A longer request or answer is not shown in part: it counts as one that could not be looked at."""
MAX_VALUES = 20_000
"""JSON values that an answer may hold."""
NO_ANSWER = "no_answer"
T = TypeVar("T")
_MOST_NAMES = 32
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was answered. `texts` are new ones in the order of those that were shown; None: as they were."""

    blocked: bool = False
    texts: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    """What for, where that was said."""
    places: Mapping[int, Sequence[Finding]] | None = None
    """By the number of a text that was shown, what stands where in it; None: not said."""
    answered: bool = True
    """Whether there was an answer at all; without one `blocked` is what `on_error` makes of that."""

    @property
    def found(self) -> bool:
        """Whether there is something to tell of."""
        return self.blocked or self.texts is not None

    def told(self, guard: Guard) -> list[str]:
        """The kinds that are noted."""
        return list(self.kinds or (guard.section.kind,)) if self.answered else [NO_ANSWER]


def named(names: set[str]) -> tuple[str, ...]:
    """Names that somebody else gave, as headers, records and metrics can bear them: a few, and none of them long."""
    plain = {re.sub(r"[^A-Za-z0-9_/.-]+", "_", name[:_LONGEST_NAME]) or "other" for name in names}
    return tuple(sorted(plain)[:_MOST_NAMES])


def told(body: bytes, shape: type[T], names: tuple[bytes, ...], otherwise: str) -> T:
    """An answer in this shape. Raises `UpstreamProtocolError`, which says `otherwise`, for another one and where one of `names` stands twice."""
    try:
        found = msgspec.json.decode(body, type=shape)
        if any(body.count(b'"%b"' % name) > 1 for name in names):
            json.loads(body, object_pairs_hook=_each_once)
    except (msgspec.DecodeError, ValueError, RecursionError) as cause:
        raise UpstreamProtocolError(otherwise) from cause
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    """Raises `ValueError` for an object that says a thing twice."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice in one object")
