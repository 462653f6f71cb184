"""Brings what waits to the centre, whenever that is there: in bounded batches, with longer pauses while it is not.

Nothing is remembered here that matters: what waits stands in the outbox until the centre said what it has. An answer that is lost,
or a process that is killed at any point, leads to the same being sent again, which the centre answers as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import sqlalchemy as sa
import structlog

from intellirouter.config.schema.chain_edges import ChainCentre
from intellirouter.errors import (
    IntelliRouterError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    UnsupportedMediaType,
)
from intellirouter.peers.contract import Call
from intellirouter.peers.edges import FORMAT, Batch, Centre, Had, Sent, Taken
from intellirouter.roles.chain_engine.edges.outbox import Outbox
from intellirouter.roles.chain_engine.edges.telling import Telling
from intellirouter.security.caller import Caller
from intellirouter.security.errands import EDGE

LOOK_SECONDS = 1.0
"""Between two looks at an outbox in which nothing waits."""
FIRST_PAUSE = 1.0
_REFUSALS = (InvalidRequest, PayloadTooLarge, UnsupportedMediaType)
"""What a centre says of a batch that it will never take as it is."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Forwarding:
    """One an edge. `clock` is the wall's, `chance` spreads the tries of many edges; `size` is how many items the next batch has."""

    section: ChainCentre
    outbox: Outbox
    telling: Telling
    centre: Centre
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    forwarded: int = 0
    """Runs that the centre has by this process."""
    heard: float | None = None
    """When the centre answered last."""
    away_since: float | None = None
    trouble: str = ""
    """Why the last try failed; empty while all is well."""
    _failures: int = 0
    _size: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """A run has ended: look at once."""
        self._news.set()

    async def run(self) -> None:
        """Forward, until cancelled."""
        while True:
            self._news.clear()
            try:
                pause = await self.once()
            except (sa.exc.SQLAlchemyError, IntelliRouterError) as error:  # the disk is full, say: look again
                log.warning("chain.outbox_waits", error=type(error).__name__)
                pause = LOOK_SECONDS
            if pause == 0.0:
                continue
            if self._failures:  # whatever ends meanwhile: the centre is asked when its time has come
                await asyncio.sleep(pause)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()

    async def once(self) -> float:
        """Send a batch of what is due; the seconds until the next one."""
        most = self._size or self.section.batch_items
        due = await asyncio.to_thread(self.outbox.due, self.clock(), max(most, self.section.batch_items))
        if not due:
            return LOOK_SECONDS
        if most < len(due):  # after a failure: whichever it was, another may go
            due = random.sample(due, most)
        batch = await self._batch(due)
        if not batch.runs:
            return 0.0
        try:
            taken = await self.centre.take(batch, self._call())
        except _REFUSALS as error:
            if (
                isinstance(error, InvalidRequest) and error.param == "format"
            ):  # nothing of this version is taken there
                return self._failed(error)
            return await self._refused(batch, error)
        except IntelliRouterError as error:
            return self._failed(error)
        await self._settled(batch, taken)
        self._there()
        self._size = 0 if self._size * 2 >= self.section.batch_items else self._size * 2
        return 0.0

    async def _batch(self, due: list[tuple[str, int]]) -> Batch:
        """As many of them as fit; one always does."""
        runs: list[Sent] = []
        gone: list[str] = []
        size = 0
        for run_id, change in due:
            try:
                sent = await self.telling.told(run_id, change)
            except sa.exc.SQLAlchemyError:
                raise
            except Exception as error:  # a run that cannot be read must not hold up the others
                log.exception("chain.run_not_told", run_id=run_id)
                reason = f"it cannot be read here ({type(error).__name__}), see the log"
                await asyncio.to_thread(self.outbox.put_aside, run_id, reason, self.clock())
                continue
            if sent is None:
                gone.append(run_id)
                continue
            size += len(sent.document) + 300
            if runs and size > self.section.batch_bytes:
                break
            runs.append(sent)
        if gone:
            await asyncio.to_thread(self.outbox.drop, gone)
        return Batch(FORMAT, tuple(runs))

    def _call(self) -> Call:
        caller = Caller(key_id=self.section.name, via=frozenset({EDGE}))
        return Call(caller, f"req_edge_{uuid4().hex}", time.monotonic() + self.section.timeout_seconds)

    async def _settled(self, batch: Batch, taken: Taken) -> None:
        """Note what the centre has; of what it said nothing, nothing is known."""
        said = {had.id: had for had in taken.runs}
        done = [(sent.id, sent.version) for sent in batch.runs if _is_there(sent, said.get(sent.id))]
        await asyncio.to_thread(self.outbox.sent, done)
        self.forwarded += len(done)
        for sent in batch.runs:
            had = said.get(sent.id)
            if _is_there(sent, had):
                continue
            if had is None:
                reason = "the centre said nothing of it"
            elif had.refused or had.later or had.version < sent.version:
                reason = had.refused or had.later or "the centre has not taken it, and did not say why"
            else:  # it has something else of that version: this node is younger than it was
                await asyncio.to_thread(self.outbox.overtake, sent.id, had.version)
                continue
            log.warning("chain.run_not_taken", run_id=sent.id, reason=reason[:200])
            await asyncio.to_thread(self.outbox.put_aside, sent.id, reason, self.clock())

    async def _refused(self, batch: Batch, error: IntelliRouterError) -> float:
        """One of the batch is to blame: they go one by one, and it is put aside."""
        self._there()
        if len(batch.runs) > 1:
            self._size = max(1, len(batch.runs) // 2)
            return 0.0
        await asyncio.to_thread(self.outbox.put_aside, batch.runs[0].id, error.message, self.clock())
        log.warning("chain.run_not_taken", run_id=batch.runs[0].id, reason=error.message[:200])
        return 0.0

    def _there(self) -> None:
        """The centre answers."""
        if self._failures:
            log.info("chain.centre_back", seconds=round(self.clock() - (self.away_since or self.clock()), 1))
        self.heard, self.away_since, self.trouble, self._failures = self.clock(), None, "", 0

    def _failed(self, error: IntelliRouterError) -> float:
        """The centre does not answer, or not us: the pause until the next try."""
        if not self._failures:
            self.away_since = self.clock()
            log.warning("chain.centre_away", reason=error.message[:300])
        self.trouble = _words(error)
        self._failures += 1
        self._size = 1
        pause = min(self.section.longest_pause_seconds, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 30))
        pause *= 0.5 + 0.5 * self.chance()
        if isinstance(error, RateLimited):
            pause = max(pause, min(error.retry_after, self.section.longest_pause_seconds))
        return pause


def _is_there(sent: Sent, had: Had | None) -> bool:
    return had is not None and not had.refused and not had.later and had.digest == sent.digest


def _words(error: IntelliRouterError) -> str:
    said = error.message[:400]
    if isinstance(error, NotFound):
        return f"the centre takes nothing from edges; is it of an older version? ({said})"
    if isinstance(error, PermissionDenied):
        return f"the centre does not take what this edge brings: {said}"
    if "signature" in said.lower() or "expired" in said.lower() or "not yet valid" in said.lower():
        return f"{said} (the token, or the clock of one of the two, is not right)"
    return said
