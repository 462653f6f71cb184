"""Brings what waits to the centre, whenever that is there: in bounded batches, with longer pauses while it is not.

Nothing is remembered here that matters: what waits stands in the database until the centre said what it has. An answer that is lost,
or a process that is killed at any point, leads to the same being sent again, which the centre answers as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
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
    PeerUnavailable,
    PermissionDenied,
    RateLimited,
    UnsupportedMediaType,
)
from intellirouter.peers.contract import Call
from intellirouter.peers.edges import Centre, Sent
from intellirouter.roles.chain_engine.edges.goods import Goods
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
    """One an edge. `clock` is the wall's, `chance` spreads the tries of many edges; each kind of goods has its turn."""

    section: ChainCentre
    goods: Sequence[Goods]
    centre: Centre
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    heard: float | None = None
    """When the centre answered last."""
    away_since: float | None = None
    trouble: str = ""
    """Why the last try failed; empty while all is well."""
    refusing: bool = False
    """It answered that try, and takes nothing of this node."""
    _failures: int = 0
    _turn: int = 0
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
        for _ in self.goods:
            goods = self.goods[self._turn % len(self.goods)]
            self._turn += 1
            sent = await goods.ready(self.section.batch_items, self.section.batch_bytes, self.clock())
            if sent is not None:
                return await self._bring(goods, sent) if sent else 0.0
        return LOOK_SECONDS

    async def _bring(self, goods: Goods, sent: list[Sent]) -> float:
        try:
            taken = await self.centre.take(goods.packed(sent), self._call())
        except _REFUSALS as error:
            if (
                isinstance(error, InvalidRequest) and error.param == "format"
            ):  # nothing of this version is taken there
                return self._failed(error)
            return await self._refused(goods, sent, error)
        except IntelliRouterError as error:
            return self._failed(error)
        self._there()
        await goods.settle(sent, {had.id: had for had in goods.said(taken)}, self.clock())
        goods.size = 0 if goods.size * 2 >= self.section.batch_items else goods.size * 2
        return 0.0

    def _call(self) -> Call:
        caller = Caller(key_id=self.section.name, via=frozenset({EDGE}))
        return Call(caller, f"req_edge_{uuid4().hex}", time.monotonic() + self.section.timeout_seconds)

    async def _refused(self, goods: Goods, sent: list[Sent], error: IntelliRouterError) -> float:
        """One of the batch is to blame: they go one by one, and it is put aside."""
        self._there()
        if len(sent) > 1:
            goods.size = max(1, len(sent) // 2)
            return 0.0
        await goods.refuse(sent[0], error.message, self.clock())
        return 0.0

    def _there(self) -> None:
        """The centre answers."""
        if self._failures:
            log.info("chain.centre_back", seconds=round(self.clock() - (self.away_since or self.clock()), 1))
        self.heard, self.away_since, self.trouble, self._failures = self.clock(), None, "", 0
        self.refusing = False

    def _failed(self, error: IntelliRouterError) -> float:
        """The centre does not answer, or not us: the pause until the next try."""
        if not self._failures:
            self.away_since = self.clock()
            log.warning("chain.centre_away", reason=error.message[:300])
        self.trouble = _words(error)
        self.refusing = not isinstance(error, PeerUnavailable) or "answered" in error.details
        self._failures += 1
        for goods in self.goods:
            goods.size = 1
        pause = min(self.section.longest_pause_seconds, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 30))
        pause *= 0.5 + 0.5 * self.chance()
        if isinstance(error, RateLimited):
            pause = max(pause, min(error.retry_after, self.section.longest_pause_seconds))
        return pause


def _words(error: IntelliRouterError) -> str:
    said = error.message[:400]
    if isinstance(error, NotFound):
        return f"the centre takes nothing from edges; is it of an older version? ({said})"
    if isinstance(error, PermissionDenied):
        return f"the centre does not take what this edge brings: {said}"
    if "signature" in said.lower() or "expired" in said.lower() or "not yet valid" in said.lower():
        return f"{said} (the token, or the clock of one of the two, is not right)"
    return said
