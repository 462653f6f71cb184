"""What is noted of requests on their path, until the recorder's thread takes it out: bounded in rows and bytes.

`jot` takes what was seen, which is encoded for `TOGETHER` requests at a time: a few hundred bytes each that no collector of cycles looks
at, for a third of what each by itself would cost. `note` takes what must be a row at once, and the function that makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from intellirouter.records.held import Encoded, Jotting
from intellirouter.records.row import Row

TOGETHER = 64
"""Requests that are encoded together on their path: the encoder and all it reads is in the processor's cache but for the first."""
CATCH_UP_SECONDS = 0.005
"""Between two looks at whether what was taken is kept, where somebody waits for it."""
STRANGERS_A_SECOND, STRANGERS_AT_ONCE = 10.0, 200.0
"""Rows of requests that nobody had to have a key for, or that were refused for want of one: a stranger who floods a node must not push
everybody else's rows out of the record."""

T = TypeVar("T")

Noted = tuple[Callable[[Any], Row | None], object, int]
"""What makes the row, of what, and how much of the bounds that was given."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`max_rows` and `max_held_bytes` of what waits to be written; `retention_seconds` and `max_bytes` of what is kept."""

    max_rows: int = 20_000
    max_held_bytes: int = 64 * 1024 * 1024
    retention_seconds: float = 30 * 86_400.0
    max_bytes: int = 10 * 1024**3


class Intake:
    """See above. The loop's thread puts in, the recorder's takes out."""

    # what each request looks at lies together
    __slots__ = (
        "_dropped_at",
        "_encode",
        "_fresh",
        "_hurry",
        "_idle",
        "_jotted",
        "_jotting",
        "_let_go",
        "_noted",
        "_refused",
        "_room",
        "_room_at",
        "_settled",
        "_taken",
        "_taken_in",
        "_wake",
        "_withheld",
        "bounds",
    )

    def __init__(self, bounds: Bounds, jotting: Jotting) -> None:
        self._jotting, self._encode = jotting, jotting.encode
        self.bounds = bounds
        self._fresh: deque[object] = deque()
        self._jotted: deque[Encoded] = deque()
        self._noted: deque[Noted] = deque()
        # requests and bytes, in and out: each written by one thread alone
        self._taken = self._settled = self._taken_in = self._let_go = 0
        self._refused = self._withheld = 0
        self._room, self._room_at = STRANGERS_AT_ONCE, time.monotonic()
        self._dropped_at = 0.0
        self._idle = False
        self._wake, self._hurry = threading.Event(), threading.Event()

    def configure(self, bounds: Bounds) -> None:
        """Take these bounds in place of the last ones."""
        self.bounds = bounds

    def jot(self, seen: object) -> None:
        """Take a request as it was seen, of which a row can be made at any time. Called by the loop's thread."""
        if self._taken - self._settled >= self.bounds.max_rows:
            self._refuse(1)
            return
        self._taken += 1
        fresh = self._fresh
        fresh.append(seen)
        if len(fresh) >= TOGETHER:
            self._encode_fresh()
        if self._idle:
            self._idle = False
            self._wake.set()

    def _encode_fresh(self) -> None:
        for encoded in self._encoded(out_of(self._fresh, TOGETHER)):
            count, told = encoded
            taken_in = self._taken_in + len(told)
            if taken_in - self._let_go > self.bounds.max_held_bytes:
                self._taken -= count
                self._refuse(count)
            else:
                self._taken_in = taken_in
                self._jotted.append(encoded)

    def _encoded(self, seen: list[object]) -> list[Encoded]:
        """What was seen, encoded, by either thread; what cannot be is noted."""
        try:
            return [(len(seen), self._encode(seen))] if seen else []
        except (TypeError, ValueError, OverflowError, RecursionError, MemoryError):
            if len(seen) == 1:  # letters that are none, perhaps: rows are made without them
                self._noted.append((self._jotting.row, seen[0], 0))
                return []
            return [encoded for one in seen for encoded in self._encoded([one])]

    def _refuse(self, count: int) -> None:
        self._refused += count
        self._dropped_at = time.monotonic()

    def note(self, make: Callable[[T], Row | None], seen: T, size: int) -> None:
        """Take a request of which `make(seen)` makes the row; `size` is about how many bytes that holds. Called by the loop's thread."""
        taken_in = self._taken_in + size
        if self._waiting() >= self.bounds.max_rows or taken_in - self._let_go > self.bounds.max_held_bytes:
            self._refuse(1)
            return
        self._taken += 1
        self._taken_in = taken_in
        self._noted.append((make, seen, size))
        if self._idle:
            self._idle = False
            self._wake.set()

    def _waiting(self) -> int:
        """Requests that nothing was done with yet."""
        return self._taken - self._settled

    def stranger(self) -> bool:
        """Whether there is room for one more row of nobody in particular; takes it. Called by the loop's thread."""
        now = time.monotonic()
        self._room = min(STRANGERS_AT_ONCE, self._room + (now - self._room_at) * STRANGERS_A_SECOND)
        self._room_at = now
        if self._room < 1.0:
            self._withheld += 1
            return False
        self._room -= 1.0
        return True

    async def caught_up(self, seconds: float) -> bool:
        """Have what was taken until now kept without gathering for longer; whether it is, after at most so long."""
        taken, until = self._taken, time.monotonic() + seconds
        while self._settled < min(
            taken, self._taken
        ):  # of what was taken some may be refused yet, being too large
            self._hurry.set()
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(CATCH_UP_SECONDS)
        return True


def out_of(queue: deque[T], most: int) -> list[T]:
    """What lies in the queue, as much as is taken at once. It grows meanwhile, and another thread may take of it too."""
    found: list[T] = []
    with contextlib.suppress(IndexError):
        while len(found) < most:
            found.append(queue.popleft())
    return found
