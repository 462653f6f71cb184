"""Who started which run: asked for every call of a step, so the last answers are kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from intellirouter.errors import NotFound, StateUnavailable
from intellirouter.roles.chain_engine.store import Store
from intellirouter.security.caller import Caller

_KEPT = 1_000


@dataclass(slots=True)
class Owners:
    """`store` is set once the database is open; a recovered run may ask a moment earlier and waits for it."""

    _store: Store | None = None
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _kept: OrderedDict[str, Caller] = field(default_factory=OrderedDict)

    @property
    def store(self) -> Store | None:
        """Where owners are written down."""
        return self._store

    @store.setter
    def store(self, store: Store) -> None:
        self._store = store
        self._open.set()

    async def of(self, run_id: str) -> Caller:
        """The caller who started the run. Raises `NotFound`."""
        if (kept := self._kept.get(run_id)) is not None:
            return kept
        await self._open.wait()  # bounded by the step's own time
        if self._store is None:
            raise StateUnavailable("The database of the chains is not open.")
        row = await asyncio.to_thread(self._store.run, run_id)
        if row is None:
            raise NotFound(f"There is no run '{run_id[:100]}'.")
        owner = self._kept[run_id] = row.owner()
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return owner
