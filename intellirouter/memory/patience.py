"""A deadline that does not count the stalls of our own event loop.

When the loop is held up (a burst of parsing, a collection of garbage, a process just starting), a plain timer is due by
the time the loop runs again, and cancels a call whose answer has long been in the socket. Here the time is counted in
slices, each begun by the loop itself: a stall, however long, costs one slice.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

SLICES = 5


class Patience:
    """`async with Patience(0.05):` raises `TimeoutError` once the loop was free to wait for 50 ms."""

    def __init__(self, seconds: float) -> None:
        self._scope = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._slice = seconds / SLICES
        self._left = SLICES

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._timer = self._loop.call_later(self._slice, self._tick)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, traceback)

    def _tick(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._slice, self._tick)
        else:
            self._scope.reschedule(self._loop.time())
