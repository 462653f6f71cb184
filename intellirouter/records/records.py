"""The record as whoever looks at it asks: without blocking the loop, and only so much at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import structlog

from intellirouter.errors import IntelliRouterError, Overloaded
from intellirouter.records.held import RowsOf
from intellirouter.records.store import Store
from intellirouter.records.whole import whole

AT_ONCE = 4
MAX_WAITING = 32
MAX_FOLLOWERS = 64

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Records:
    """Questions to a store, each in a thread. `open_store` is called with the first, and again until it succeeds.

    What is held and no row yet (`held.py`) becomes rows first, by `rows_of`, as far as an answer could tell of it (`whole.py`).
    """

    def __init__(self, open_store: Callable[[], Store], rows_of: RowsOf) -> None:
        self._open_store = open_store
        self._rows_of = rows_of
        self._opening: asyncio.Task[Store] | None = None
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._followers = 0

    async def ask(self, question: Callable[[Store], T]) -> T:
        """What `question` finds. Raises `StateUnavailable`, `TooSlow`, and `Overloaded` when too many ask."""
        return await self.act(partial(self._answered, question))

    async def act(self, deed: Callable[[Store], T]) -> T:
        """What `deed` gives, which asks for nothing of what is held. Raises as `ask` does."""
        if self._waiting >= MAX_WAITING:
            raise Overloaded(f"{self._waiting} questions to the record wait already.", retry_after=1.0)
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(deed, await self._opened())
        finally:
            self._waiting -= 1

    def _answered(self, question: Callable[[Store], T], store: Store) -> T:
        return question(whole(store, self._rows_of))

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Somebody follows new rows, which asks again and again. Raises `Overloaded` when too many do."""
        if self._followers >= MAX_FOLLOWERS:
            raise Overloaded(f"{MAX_FOLLOWERS} follow new requests here already.", retry_after=10.0)
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    async def _opened(self) -> Store:
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.create_task(asyncio.to_thread(self._open_store), name="open the record")
        return await asyncio.shield(self._opening)  # who gives up leaves no store behind that nobody closes

    async def name_none(self) -> None:
        """This node is no edge: name no rows for another any more, where it was one."""
        try:
            await self.act(lambda store: None if store.outgoing is None else store.outgoing.stop())
        except IntelliRouterError as error:
            log.warning("chain.rows_still_named", reason=error.message[:200])

    async def aclose(self) -> None:
        """Let go of the store."""
        opening, self._opening = self._opening, None
        if opening is None:
            return
        await asyncio.wait([opening])
        if opening.exception() is None:
            await asyncio.to_thread(opening.result().close)
