"""One place that lines are sent to: a queue with a bound, batches, and tries that grow apart while the place is away."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from intellirouter.telemetry.shipping.entry import Entry

MAX_LINES = 20_000
MAX_BYTES = 16 << 20
"""What waits for one place; of more, the oldest lines are dropped, and counted."""
BATCH_LINES = 1_000
BATCH_BYTES = 1 << 20
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries; a place that asks for more time gets it, up to `MAX_ASKED`."""
MAX_ASKED = 120.0
TELL_SECONDS = 60.0
"""Between two lines of our own on lines that were refused."""
MAX_REASON = 300

log = structlog.get_logger(__name__)


class Away(Exception):
    """The place cannot take the lines now, but for the first `done`; `after` is the seconds it asked for, 0 where it did not."""

    def __init__(self, reason: str, after: float = 0.0, *, done: int = 0) -> None:
        super().__init__(reason)
        self.after = min(max(after, 0.0), MAX_ASKED)
        self.done = done


class Refused(Exception):
    """The place does not take `lines` of them, and will not later."""

    def __init__(self, reason: str, lines: int) -> None:
        super().__init__(reason)
        self.lines = lines


class Sender(Protocol):
    """One form and one way. Used by one task at a time, in the loop of the thread that sends."""

    async def send(self, batch: Sequence[Entry]) -> None:
        """Send the batch before a deadline of its own. Raises `Away`, `Refused`."""

    async def aclose(self) -> None:
        """Let go of what is open; waits for nobody."""


@dataclass(slots=True)
class Counts:
    """Lines since the start."""

    sent: int = 0
    dropped: int = 0
    """The queue was full, or the node stopped before they could be sent."""
    refused: int = 0


class Outlet:
    """`level` is the least that is sent, by the number of `logging`. `linger` is the seconds that lines are gathered for."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        clean: Callable[[Entry], Entry],
        *,
        level: int = 0,
        linger: float = 1.0,
    ) -> None:
        self.name = name
        self.level = level
        self.counts = Counts()
        self.clean = clean
        self._sender = sender
        self._linger = linger
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._wake: Callable[[asyncio.Event], None] | None = None
        self._news = asyncio.Event()
        self._full = asyncio.Event()
        self._ending = asyncio.Event()
        self._away = False
        self._lost_before = 0
        self._told = -TELL_SECONDS

    @property
    def waiting(self) -> int:
        """Lines in the queue."""
        return len(self._waiting)

    def offer(self, entry: Entry) -> None:
        """Take a line, from any thread."""
        with self._lock:
            before = self._bytes
            self._waiting.append(entry)
            self._bytes += entry.size
            while len(self._waiting) > MAX_LINES or self._bytes > MAX_BYTES:
                self._bytes -= self._waiting.popleft().size
                self.counts.dropped += 1
            full = len(self._waiting) == BATCH_LINES or before < BATCH_BYTES <= self._bytes
            wake = self._wake if full or not before else None
        if wake is not None:
            wake(self._full if full else self._news)

    async def run(self) -> None:
        """Send until `end`, and then what waits."""
        loop = asyncio.get_running_loop()

        def wake(event: asyncio.Event) -> None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop has ended: what still comes is counted by `drop_rest`
                return

        with self._lock:
            self._wake = wake
            if self._waiting:
                self._news.set()
        try:
            while not (self._ending.is_set() and not self._waiting):
                await _first(self._news, self._full, self._ending)
                if not self._ending.is_set():
                    await _first(self._full, self._ending, seconds=self._linger)
                self._news.clear()
                self._full.clear()
                while batch := self._taken():
                    await self._deliver(batch)
        finally:
            self._wake = None
            await self._sender.aclose()

    def end(self) -> None:
        """Send what waits and stop. In the loop's thread."""
        self._ending.set()

    def drop_rest(self) -> int:
        """Give up what still waits; how many lines of this outlet were never sent."""
        with self._lock:
            self.counts.dropped += len(self._waiting)
            left = len(self._waiting)
            self._waiting.clear()
            self._bytes = 0
        return left

    def _taken(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        with self._lock:
            while self._waiting and len(batch) < BATCH_LINES and (not batch or size < BATCH_BYTES):
                entry = self._waiting.popleft()
                self._bytes -= entry.size
                size += entry.size
                batch.append(entry)
        return batch

    async def _deliver(self, batch: Sequence[Entry]) -> None:
        ready: Sequence[Entry] = batch
        pause = FIRST_PAUSE
        delivered = False
        try:
            ready = [self.clean(entry) for entry in batch]
            while not delivered:
                try:
                    await self._sender.send(ready)
                except Away as away:
                    self.counts.sent += away.done
                    batch, ready = batch[away.done :], ready[away.done :]
                    if away.done:
                        pause = FIRST_PAUSE
                    self._went_away(str(away))
                    wait = max(away.after, pause * random.uniform(0.5, 1.0))  # noqa: S311  so that nodes do not come together
                    pause = min(pause * 2, LONGEST_PAUSE)
                    if self._ending.is_set():
                        await asyncio.sleep(0.2)  # the deadline of the end is whoever waits's
                    else:
                        await _first(self._ending, seconds=wait)
                except Refused as refused:
                    delivered = True
                    self.counts.refused += refused.lines
                    self.counts.sent += len(ready) - refused.lines
                    self._was_refused(str(refused), refused.lines)
                else:
                    delivered = True
                    self.counts.sent += len(ready)
                    self._came_back()
        except Exception as error:  # noqa: BLE001  said and counted; tried again, it would hold up all that come after it
            delivered = True
            self.counts.refused += len(ready)
            self._was_refused(f"{type(error).__name__}: {error}"[:MAX_REASON], len(ready))
        finally:
            if not delivered:  # cancelled: `drop_rest` counts them
                with self._lock:
                    self._waiting.extendleft(reversed(batch))
                    self._bytes += sum(entry.size for entry in batch)

    def _went_away(self, reason: str) -> None:
        if not self._away:
            self._away = True
            self._lost_before = self.counts.dropped
            if not self._ending.is_set():
                log.warning("logs.away", to=self.name, reason=reason)

    def _came_back(self) -> None:
        if self._away:
            self._away = False
            log.info("logs.back", to=self.name, lost_lines=self.counts.dropped - self._lost_before)

    def _was_refused(self, reason: str, lines: int) -> None:
        self._away = False
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS and not self._ending.is_set():
            self._told = now
            log.warning(
                "logs.refused",
                to=self.name,
                reason=reason,
                lines=lines,
                refused_before=self.counts.refused - lines,
            )


async def _first(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until one of the events is set, or for so long."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
