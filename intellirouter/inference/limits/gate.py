"""A gate with a bounded number of places and a bounded, fair queue before it.

Who waits is served by priority first, and within one priority key by key in turn, so that a key that floods the queue
delays itself and not a quiet one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from intellirouter.errors import Overloaded


class FairQueue:
    """Waiting entries of several owners. Sans-io."""

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, deque[asyncio.Future[None]]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, owner: str, priority: int, entry: asyncio.Future[None]) -> None:
        """Wait behind the owner's other entries."""
        self._levels.setdefault(priority, OrderedDict()).setdefault(owner, deque()).append(entry)
        self._count += 1

    def take(self) -> asyncio.Future[None] | None:
        """Whose turn it is; None when nobody waits."""
        for priority in sorted(self._levels, reverse=True):
            owners = self._levels[priority]
            owner, entries = next(iter(owners.items()))
            entry = entries.popleft()
            self._count -= 1
            if entries:
                owners.move_to_end(owner)
            else:
                del owners[owner]
                if not owners:
                    del self._levels[priority]
            return entry
        return None


class Gate:
    """`places` at once, `length` waiting, each for at most `patience` seconds."""

    def __init__(self, places: int, length: int, patience: float) -> None:
        self._free = places
        self._length = length
        self._patience = patience
        self._queue = FairQueue()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    async def enter(self, owner: str, priority: int, deadline: float) -> None:
        """Take a place, which `leave` gives back. Raises `Overloaded` when the queue is full or the wait too long.

        `deadline` is by the loop's clock.
        """
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(owner, priority, deadline)

    async def _wait(self, owner: str, priority: int, deadline: float) -> None:
        if self._waiting >= self._length:
            raise Overloaded(f"{self._waiting} requests wait already.", retry_after=1.0)
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.put(owner, priority, turn)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + self._patience)):
                await turn
        except TimeoutError as error:
            if turn.done() and not turn.cancelled():
                self.leave()  # the place came at the very moment we gave up
            raise Overloaded("The request waited too long for a place.", retry_after=2.0) from error
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """Give the place to whose turn it is."""
        while (turn := self._queue.take()) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
