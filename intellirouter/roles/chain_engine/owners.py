"""In whose name a run acts: its owner is written down once, and what the owner may is asked for every step."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from intellirouter.errors import NotFound, StateUnavailable
from intellirouter.roles.chain_engine.store import Store
from intellirouter.security.admission import lacks
from intellirouter.security.authority import Authority, ended
from intellirouter.security.caller import Caller, Owner
from intellirouter.security.permissions import PERMISSION

STARTS = "chains:start"
_KEPT = 1_000


def check_starts(caller: Caller) -> None:
    """Raises `PermissionDenied` for who may start no chains: a run in its name would end at its first step that asks somebody."""
    if not caller.may(STARTS):
        raise lacks(caller, PERMISSION[STARTS])


@dataclass(frozen=True, slots=True)
class Starters:
    """An `Authority` of who has chains at work: who may start none any more has nothing done by one."""

    authority: Authority

    async def caller_of(self, owner: Owner) -> Caller:
        """See `Authority.caller_of`."""
        caller = await self.authority.caller_of(owner)
        if not caller.may(STARTS):
            raise ended(owner, f"lacks the permission '{STARTS}' now")
        return caller


@dataclass(slots=True)
class Owners:
    """`store` is set once the database is open; a recovered run may ask a moment earlier and waits for it."""

    authority: Authority

    _store: Store | None = None
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _kept: OrderedDict[str, tuple[str, Owner]] = field(default_factory=OrderedDict)

    @property
    def store(self) -> Store | None:
        """Where owners are written down."""
        return self._store

    @store.setter
    def store(self, store: Store) -> None:
        self._store = store
        self._open.set()

    async def acting(self, run_id: str) -> Caller:
        """The owner as it may act now. Raises `KeyEnded`."""
        return await self.authority.caller_of(await self.of(run_id))

    async def place(self, run_id: str) -> tuple[str, str]:
        """The run's chain and tenant. Raises `NotFound`."""
        chain, owner = await self._found(run_id)
        return chain, owner.tenant

    async def of(self, run_id: str) -> Owner:
        """Who started the run. Raises `NotFound`."""
        return (await self._found(run_id))[1]

    async def _found(self, run_id: str) -> tuple[str, Owner]:
        if (kept := self._kept.get(run_id)) is not None:
            return kept
        await self._open.wait()  # bounded by the step's own time
        if self._store is None:
            raise StateUnavailable("The database of the chains is not open.")
        row = await asyncio.to_thread(self._store.run, run_id)
        if row is None:
            raise NotFound(f"There is no run '{run_id[:100]}'.")
        found = self._kept[run_id] = (row.chain, row.owner())
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found
