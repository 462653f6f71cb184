"""What is asked of a server at this moment, so that all of it can be given up at once when it is known that no answer counts any more.

A connection that is taken from under a question of redis-py may be between two steps of it, and an error of any kind comes of that. A
question that is cancelled drops its own connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Waits:
    """The questions under way of one client. `given_up`: how often they were."""

    def __init__(self) -> None:
        self._now: set[asyncio.Timeout] = set()
        self.given_up = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[asyncio.Timeout]:
        """Around a question. Raises `TimeoutError` when it is given up; the timeout says then that it has expired."""
        async with asyncio.timeout(None) as deadline:
            self._now.add(deadline)
            try:
                yield deadline
            finally:
                self._now.discard(deadline)

    def give_up(self) -> None:
        """Each of them now."""
        self.given_up += 1
        now = asyncio.get_running_loop().time()
        for deadline in tuple(self._now):
            with suppress(RuntimeError):  # it ends at this moment by itself
                deadline.reschedule(now)
