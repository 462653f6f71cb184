"""At an edge: the rows of its record of requests that its centre does not have yet.

A row is named until it arrived, and nothing is compared: feedback that comes after stays here. What the centre refuses stays
in the record of the edge, is counted and told, and is brought again when somebody says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from intellirouter.errors import IntelliRouterError, Overloaded, StateError
from intellirouter.peers.edges import FORMAT, MAX_DOCUMENT, Batch, Had, Sent, Taken
from intellirouter.records.outgoing import Leaving, Outgoing
from intellirouter.records.records import Records
from intellirouter.records.row import Detail, Row, time_of
from intellirouter.records.store import Store
from intellirouter.roles.chain_engine.edges.goods import OVERHEAD, is_there, some

GATHER_SECONDS = 15.0
"""A row waits so long for others, unless they are a batch: a record adopts many as easily as one."""
AGAIN_SECONDS = 60.0
"""Until the next try where the centre takes no rows for now."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Rows:
    """See `Goods`. `trouble` is why the centre takes none now; empty while all is well."""

    records: Records
    gather: float = GATHER_SECONDS
    size: int = 0
    forwarded: int = 0
    trouble: str = ""
    _hold_until: float = 0.0

    async def ready(self, most: int, most_bytes: int, now: float) -> list[Sent] | None:
        """See `Goods.ready`."""
        if now < self._hold_until < now + 2 * AGAIN_SECONDS:
            return None
        try:
            due = await self.records.act(lambda store: of(store).due(most))
            young = bool(due) and len(due) < most and 0 <= now - time_of(due[0]) < self.gather
            if not due or young:
                return None
            return await self._read(some(due, self.size), most_bytes, now)
        except (StateError, IntelliRouterError) as error:  # the disk is full, say: runs go all the same
            self._wait(f"the record of this node cannot be read: {error.message}", now)
            return None

    async def _read(self, ids: list[int], most_bytes: int, now: float) -> list[Sent]:
        try:
            rows = await self.records.act(lambda store: store.those(ids))
        except (StateError, Overloaded):
            raise
        except Exception as error:  # sealed with a key that is gone, say: it must not hold up the others
            if len(ids) > 1:
                return await self._read(ids[: len(ids) // 2], most_bytes, now)
            log.exception("chain.row_not_told", row=ids[0])
            await self._refuse(ids, f"it cannot be read here ({type(error).__name__}), see the log", now)
            return []
        found: list[Sent] = []
        size = 0
        for row in rows:
            sent = Sent(str(row.id), 1, row.tenant, document(row))
            size += len(sent.document) + OVERHEAD
            if found and size > most_bytes:
                break
            found.append(sent)
        if not rows:  # they were deleted this moment
            await self._act(lambda outgoing: outgoing.done(ids))
        return found

    def packed(self, sent: Sequence[Sent]) -> Batch:
        """See `Goods.packed`."""
        return Batch(FORMAT, rows=tuple(sent))

    def said(self, taken: Taken) -> Sequence[Had]:
        """See `Goods.said`."""
        return taken.rows

    async def settle(self, sent: Sequence[Sent], said: Mapping[str, Had], now: float) -> None:
        """See `Goods.settle`."""
        done = [int(one.id) for one in sent if is_there(one, said.get(one.id))]
        if done:
            await self._act(lambda outgoing: outgoing.done(done))
            self.forwarded += len(done)
        refused: dict[str, list[int]] = {}
        later = ""
        for one in sent:
            had = said.get(one.id)
            if is_there(one, had):
                continue
            if had is not None and had.refused:
                refused.setdefault(had.refused, []).append(int(one.id))
            else:
                later = had.later if had is not None else ""
                later = later or "the centre said nothing of rows of the record; is it of an older version?"
        for reason, ids in refused.items():
            await self._refuse(ids, reason, now)
        if later:
            self._wait(later, now)
        else:
            self.trouble = ""

    async def refuse(self, sent: Sent, reason: str, now: float) -> None:
        """See `Goods.refuse`."""
        await self._refuse([int(sent.id)], reason, now)

    async def _refuse(self, ids: list[int], reason: str, now: float) -> None:
        log.warning("chain.rows_not_taken", rows=len(ids), reason=reason[:200])
        await self._act(lambda outgoing: outgoing.refuse(ids, reason[:500], now))

    def _wait(self, reason: str, now: float) -> None:
        if self.trouble != reason:
            log.warning("chain.rows_wait", reason=reason[:300])
        self.trouble, self._hold_until = reason, now + AGAIN_SECONDS

    async def again(self) -> int:
        """Bring all that there are once more; how many."""
        self._hold_until = 0.0
        return await self.records.act(lambda store: of(store).again())

    async def leaving(self) -> Leaving:
        """How it stands."""
        return await self.records.act(lambda store: of(store).leaving())

    async def _act(self, deed: Callable[[Outgoing], None]) -> None:
        await self.records.act(lambda store: deed(of(store)))


def of(store: Store) -> Outgoing:
    """The rows of a store that are to go. Only a file has any: see `config.chain_rules`."""
    if store.outgoing is None:
        raise StateError("the record of this node is no file of its own")
    return store.outgoing


def document(row: Row) -> str:
    """The row as it travels, without what makes it too long: first what was said, then the detail."""
    text = msgspec.json.encode(row)
    if len(text) > MAX_DOCUMENT:
        row = msgspec.structs.replace(row, asked=None, answered=None)
        text = msgspec.json.encode(row)
    if len(text) > MAX_DOCUMENT:
        text = msgspec.json.encode(msgspec.structs.replace(row, detail=Detail(), feedback=None))
    return text.decode()
