"""What a running process notes for its journal: queued, written in a thread of its own, many at once where many come."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from intellirouter.counts import counted
from intellirouter.security.audit.entry import KINDS, Entry, Level, now
from intellirouter.security.audit.journal import AuditUnavailable, Journal

MOST_WAITING = 50_000
BATCH = 1_000
AGAIN_SECONDS = 1.0
STRANGERS_A_MINUTE = 300
"""Refusals of callers without a name that are written down each minute; the rest is counted, and told with the next."""

log = structlog.get_logger(__name__)


class Auditor:
    """Notes entries. `failing` says why nothing can be written, empty while all is well."""

    def __init__(self, journal: Journal, level: Level, clean: Callable[[str], str]) -> None:
        self.journal = journal
        self.level: Level = level
        self.clean = clean
        self.failing = ""
        self.written_records = self.missed_records = 0
        self._kinds = KINDS[level]
        self._waiting: deque[tuple[Entry, asyncio.Future[None] | None]] = deque()
        self._awake = asyncio.Event()
        self._missed = self._withheld = 0
        self._minute, self._strangers = 0, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self.heard: Callable[[], None] = lambda: None
        """Told after each writing."""

    def wants(self, kind: str) -> bool:
        """Whether the level writes such entries down."""
        return kind in self._kinds

    def note(self, entry: Entry) -> None:
        """Write it soon. Where too many wait it is dropped, and the next record says how many were."""
        if entry.kind == "refusal" and not entry.who and not self._stranger():
            self._withheld += 1
            return
        if len(self._waiting) >= MOST_WAITING:
            self._missed += 1
            self.missed_records += 1
            return
        self._waiting.append((entry, None))
        self._awake.set()

    async def require(self, entry: Entry) -> None:
        """Write it before anything else happens. Raises `AuditUnavailable`."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, told))
        self._awake.set()
        await told

    async def settled(self) -> None:
        """Return once what was noted so far is written, or cannot be."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_NOTHING, told))
        self._awake.set()
        with contextlib.suppress(AuditUnavailable):
            await told

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while the context is open, and what is left at its end."""
        task = asyncio.create_task(self._write(), name="audit")
        try:
            yield
        finally:
            await self.settled()
            task.cancel()
            await asyncio.wait([task])
            await asyncio.to_thread(self._thread.shutdown)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                entries = [*self._gaps(), *(entry for entry, _ in batch if entry is not _NOTHING)]
                try:
                    if entries:
                        await loop.run_in_executor(self._thread, self.journal.append, entries)
                except AuditUnavailable as error:
                    self._failed(batch, error)
                    break
                self._wrote(batch, len(entries))
            if (
                self._waiting
            ):  # nothing could be written: again in a while, or as soon as somebody waits for it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_SECONDS):
                        await self._awake.wait()
                self._awake.set()

    def _wrote(self, batch: list[tuple[Entry, asyncio.Future[None] | None]], count: int) -> None:
        if self.failing:
            log.info("audit.written_again")
        self.failing = ""
        self._missed = self._withheld = 0
        self.written_records += count
        for _, told in batch:
            if told is not None and not told.done():
                told.set_result(None)
        self.heard()

    def _failed(
        self, batch: list[tuple[Entry, asyncio.Future[None] | None]], error: AuditUnavailable
    ) -> None:
        if not self.failing:
            log.error("audit.not_written", message=error.message)
        self.failing = error.message
        for entry, told in reversed(batch):
            if told is None:
                self._waiting.appendleft((entry, None))
            elif not told.done():
                told.set_exception(AuditUnavailable(error.message))

    def _gaps(self) -> list[Entry]:
        """What says that something is not in the journal."""
        told = []
        if self._missed:
            told.append(
                Entry(
                    at=now(),
                    kind="system",
                    action="missed",
                    outcome="failed",
                    note=f"{counted(self._missed, 'record')}",
                )
            )
        if self._withheld:
            told.append(
                Entry(
                    at=now(),
                    kind="system",
                    outcome="ok",
                    action="withheld",
                    note=f"{counted(self._withheld, 'refusal')} of strangers",
                )
            )
        return told

    def _stranger(self) -> bool:
        minute = int(asyncio.get_running_loop().time() // 60)
        if minute != self._minute:
            self._minute, self._strangers = minute, 0
        self._strangers += 1
        return self._strangers <= STRANGERS_A_MINUTE


_NOTHING = Entry(at="", kind="system", outcome="ok", action="")
"""In place of an entry for whoever only waits."""
