"""The purses of one process, by their counter: as many as are in use, closed when they go out of use."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection

import structlog

from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.inference.limits.purse import Purse
from intellirouter.memory.store import StateStore
from intellirouter.telemetry.outage import Outage

MAX_PURSES = 50_000

log = structlog.get_logger(__name__)


class Purses:
    """`on_forgotten` hears when one was forgotten: nobody may take from it any more."""

    def __init__(self, store: StateStore, on_forgotten: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._on_forgotten = on_forgotten
        self._purses: OrderedDict[str, Purse] = OrderedDict()
        self._owing: set[Purse] = set()
        self._leaving: set[Purse] = set()
        self._outage = Outage(log, "limits.not_settled", "limits.settled_again")

    def of(self, key: str, limit: float, window: float, *, whole: bool) -> Purse:
        """The purse of a counter."""
        purse = self._purses.get(key)
        if purse is None or purse.limit != limit:
            purse = self._purses[key] = Purse(self._store, key, limit, window, whole=whole)
            if len(self._purses) > MAX_PURSES:
                self._leaving.add(self._purses.popitem(last=False)[1])
                self._on_forgotten()
        return purse

    async def used(self, key: str, window: float) -> float:
        """What was taken of a counter in its present window, as the store and this process know. Raises `StateUnavailable`."""
        level = await self._store.level(key, window=window)
        purse = self._purses.get(key)
        return max(0.0, level - (purse.held(time.time()) if purse is not None else 0.0))

    def give_back(self, purse: Purse, amount: float, now: float) -> None:
        """See `Purse.give_back`; what is owed then is paid within a second."""
        if purse.give_back(amount, now):
            self._owing.add(purse)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Pay debts every second; give unused leases back at the end."""
        try:
            async with background(limits=self._run()):
                yield
        finally:
            await self._each({*self._purses.values(), *self._leaving}, Purse.close)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                self._owing -= await self._each(self._owing, Purse.pay)
                self._leaving -= await self._each(self._leaving, Purse.close)
            except Exception:  # one bad purse must not end all later payments
                log.exception("limits.crashed")

    async def _each(self, purses: Collection[Purse], act: Callable[[Purse], Awaitable[None]]) -> set[Purse]:
        """Act on them until the store fails; those it was done for."""
        done: set[Purse] = set()
        for purse in list(purses):
            try:
                await act(purse)
            except StateError as error:
                self._outage.failed(counter=purse.key, reason=error.message)
                break
            self._outage.done()
            done.add(purse)
        return done
