"""A gate with a bounded number of places and a bounded, fair queue before it.

Who waits is served by priority first, and within one priority tenant by tenant and key by key in turn, so that a key that
floods the queue delays itself and not a quiet one. Nobody holds more than a share of the places, and of the queue: slow
requests of one cannot take every place from the others, who could then only wait for them to end.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from intellirouter.errors import Overloaded
from intellirouter.security.caller import ANONYMOUS, Caller

Owner = tuple[str, str]
"""A tenant and a key of it."""
_Keys = OrderedDict[str, deque[asyncio.Future[None]]]


def owner_of(caller: Caller) -> Owner | None:
    """Whose place it is; None for the one caller of a node without keys, who shares with nobody."""
    return None if caller.key_id == ANONYMOUS.key_id else (caller.tenant, caller.key_id)


class FairQueue:
    """Waiting entries of several owners. Sans-io."""

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, _Keys]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, owner: Owner | None, priority: int, entry: asyncio.Future[None]) -> None:
        """Wait behind the owner's other entries."""
        tenant, key = owner or ("", "")
        tenants = self._levels.setdefault(priority, OrderedDict())
        tenants.setdefault(tenant, OrderedDict()).setdefault(key, deque()).append(entry)
        self._count += 1

    def take(self, may: Callable[[Owner | None], bool]) -> tuple[Owner | None, asyncio.Future[None]] | None:
        """Whose turn it is, of those who `may`; None when nobody waits who does."""
        for priority in sorted(self._levels, reverse=True):
            for tenant, keys in self._levels[priority].items():
                for key in keys:
                    owner = (tenant, key) if key else None
                    if may(owner):
                        return owner, self._pop(priority, tenant, key)
        return None

    def _pop(self, priority: int, tenant: str, key: str) -> asyncio.Future[None]:
        tenants = self._levels[priority]
        keys = tenants[tenant]
        entry = keys[key].popleft()
        self._count -= 1
        if keys[key]:
            keys.move_to_end(key)
        else:
            del keys[key]
        if keys:
            tenants.move_to_end(tenant)
        else:
            del tenants[tenant]
            if not tenants:
                del self._levels[priority]
        return entry


class _Shares:
    """How many of something each key and tenant holds, and may hold."""

    def __init__(self, whole: int, key_share: float, tenant_share: float) -> None:
        self._of_a_key = max(1, int(whole * key_share))
        self._of_a_tenant = max(1, int(whole * max(key_share, tenant_share)))
        self._held: Counter[str | Owner] = Counter()

    def room(self, owner: Owner | None) -> bool:
        """Whether the owner may hold one more."""
        if owner is None:
            return True
        return self._held[owner] < self._of_a_key and self._held[owner[0]] < self._of_a_tenant

    def add(self, owner: Owner | None, count: int) -> None:
        """The owner holds so many more."""
        if owner is not None:
            for name in (owner, owner[0]):
                self._held[name] += count
                if not self._held[name]:
                    del self._held[name]


class Gate:
    """`places` at once, `length` waiting, each for at most `patience` seconds."""

    def __init__(
        self, places: int, length: int, patience: float, *, key_share: float = 1.0, tenant_share: float = 1.0
    ) -> None:
        self._free = places
        self._length = length
        self._patience = patience
        self._queue = FairQueue()
        self._waiting = 0
        self._inside = _Shares(places, key_share, tenant_share)
        self._outside = _Shares(length, key_share, tenant_share)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    async def enter(self, caller: Caller, deadline: float) -> None:
        """Take a place, which `leave` gives back. Raises `Overloaded` when the queue is full or the wait too long.

        `deadline` is by the loop's clock.
        """
        owner = owner_of(caller)
        if self._free > 0 and self._inside.room(owner):
            self._free -= 1
            self._inside.add(owner, 1)
        else:
            await self._wait(owner, caller.priority, deadline)

    async def _wait(self, owner: Owner | None, priority: int, deadline: float) -> None:
        if self._waiting >= self._length:
            raise Overloaded(f"{self._waiting} requests wait already.", retry_after=1.0)
        if not self._outside.room(owner):
            raise Overloaded(
                "This key and its tenant have as many requests waiting as they may.", retry_after=1.0
            )
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.put(owner, priority, turn)
        self._waiting += 1
        self._outside.add(owner, 1)
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + self._patience)):
                await turn
        except TimeoutError as error:
            if turn.done() and not turn.cancelled():
                self._leave(owner)  # the place came at the very moment we gave up
            raise Overloaded("The request waited too long for a place.", retry_after=2.0) from error
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(owner)
            raise
        finally:
            self._waiting -= 1
            self._outside.add(owner, -1)

    def leave(self, caller: Caller) -> None:
        """Give the place to whose turn it is."""
        self._leave(owner_of(caller))

    def _leave(self, owner: Owner | None) -> None:
        self._inside.add(owner, -1)
        self._free += 1
        while self._free > 0 and (found := self._queue.take(self._inside.room)) is not None:
            next_owner, turn = found
            if not turn.done():
                self._inside.add(next_owner, 1)
                self._free -= 1
                turn.set_result(None)
