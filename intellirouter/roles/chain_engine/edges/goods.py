"""What an edge brings to its centre: runs here, rows of the record in `rows`. Each waits somewhere, travels as a document, and is settled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import sqlalchemy as sa
import structlog

from intellirouter.peers.edges import FORMAT, Batch, Had, Sent, Taken
from intellirouter.roles.chain_engine.edges.outbox import Outbox
from intellirouter.roles.chain_engine.edges.telling import Telling

OVERHEAD = 300
"""Bytes of a batch that one document takes beside itself, about."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Goods(Protocol):
    """One kind of what is brought. `size` is how many go in the next batch, 0: as many as may; `forwarded` how many the centre has by this process."""

    size: int
    forwarded: int

    async def ready(self, most: int, most_bytes: int, now: float) -> list[Sent] | None:
        """As many as fit, one always does; None where nothing is due, nothing where what was due cannot be sent."""

    def packed(self, sent: Sequence[Sent]) -> Batch:
        """As one request."""

    def said(self, taken: Taken) -> Sequence[Had]:
        """What the answer says of them."""

    async def settle(self, sent: Sequence[Sent], said: Mapping[str, Had], now: float) -> None:
        """Note what the centre has; of what it said nothing, nothing is known."""

    async def refuse(self, sent: Sent, reason: str, now: float) -> None:
        """The centre cannot take this one."""


def some(due: list[T], size: int) -> list[T]:
    """Of what is due as many as go: after a failure any of them, since whichever it was, another may go."""
    return random.sample(due, size) if 0 < size < len(due) else due


def is_there(sent: Sent, had: Had | None) -> bool:
    """Whether the centre has it."""
    return had is not None and not had.refused and not had.later and had.digest == sent.digest


@dataclass(slots=True)
class Runs:
    """The runs of the outbox."""

    outbox: Outbox
    telling: Telling
    size: int = 0
    forwarded: int = 0

    async def ready(self, most: int, most_bytes: int, now: float) -> list[Sent] | None:
        """See `Goods.ready`."""
        due = await asyncio.to_thread(self.outbox.due, now, most)
        if not due:
            return None
        runs: list[Sent] = []
        gone: list[str] = []
        size = 0
        for run_id, change in some(due, self.size):
            try:
                sent = await self.telling.told(run_id, change)
            except sa.exc.SQLAlchemyError:
                raise
            except Exception as error:  # a run that cannot be read must not hold up the others
                log.exception("chain.run_not_told", run_id=run_id)
                reason = f"it cannot be read here ({type(error).__name__}), see the log"
                await asyncio.to_thread(self.outbox.put_aside, run_id, reason, now)
                continue
            if sent is None:
                gone.append(run_id)
                continue
            size += len(sent.document) + OVERHEAD
            if runs and size > most_bytes:
                break
            runs.append(sent)
        if gone:
            await asyncio.to_thread(self.outbox.drop, gone)
        return runs

    def packed(self, sent: Sequence[Sent]) -> Batch:
        """See `Goods.packed`."""
        return Batch(FORMAT, tuple(sent))

    def said(self, taken: Taken) -> Sequence[Had]:
        """See `Goods.said`."""
        return taken.runs

    async def settle(self, sent: Sequence[Sent], said: Mapping[str, Had], now: float) -> None:
        """See `Goods.settle`."""
        done = [(one.id, one.version) for one in sent if is_there(one, said.get(one.id))]
        await asyncio.to_thread(self.outbox.sent, done)
        self.forwarded += len(done)
        for one in sent:
            had = said.get(one.id)
            if is_there(one, had):
                continue
            if had is None:
                reason = "the centre said nothing of it"
            elif had.refused or had.later or had.version < one.version:
                reason = had.refused or had.later or "the centre has not taken it, and did not say why"
            else:  # it has something else of that version: this node is younger than it was
                await asyncio.to_thread(self.outbox.overtake, one.id, had.version)
                continue
            await self.refuse(one, reason, now)

    async def refuse(self, sent: Sent, reason: str, now: float) -> None:
        """See `Goods.refuse`: it waits for longer each time."""
        log.warning("chain.run_not_taken", run_id=sent.id, reason=reason[:200])
        await asyncio.to_thread(self.outbox.put_aside, sent.id, reason, now)
