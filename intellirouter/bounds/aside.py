"""A few threads for pure work that is too long for the event loop, shared evenly between those who ask.

Each owner (a tenant) has a queue; the threads take from one queue after another, so that who brings a thousand pieces of work
waits for them and nobody else does. The work must be bounded itself (`fuel.py`): a thread cannot be stopped from outside.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from intellirouter.bounds.fuel import BRIEF, FULL, OutOfFuel, tank
from intellirouter.errors import RateLimited

T = TypeVar("T")

THREADS = 2
MAX_WAITING = 64
"""Pieces of work of one owner; the next one is refused with 429."""
_IDLE_SECONDS = 10.0
_WINDOW_SECONDS = 0.05
_INLINE = 3 * BRIEF
"""Units that are done on the event loop in one window; what comes then goes into a thread."""


def _nothing(burned: int) -> None:
    """Hears nothing."""


class Aside:
    """The threads of one process. They start when there is work and end when there is none for some seconds."""

    def __init__(self, threads: int = THREADS, waiting: int = MAX_WAITING) -> None:
        self._most_threads = threads
        self._most_waiting = waiting
        self._queues: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._ready = threading.Condition()
        self._threads = self._idle = 0
        self._since, self._inline = 0.0, 0

    async def run(self, owner: str, work: Callable[[], T]) -> T:
        """The result of `work`, done in its turn. Raises `RateLimited` where too much of this owner waits."""
        return await asyncio.wrap_future(self.submit(owner, work))

    async def soon(
        self, owner: str, work: Callable[[], T], units: int = FULL, told: Callable[[int], None] = _nothing
    ) -> T:
        """At once where it is little, else in its turn, with `units` of fuel. `told` hears what was burned.

        The work may be begun twice and must not change anything. Only where it is done depends on the clock: never what it
        comes to.
        """
        if self._calm():
            with tank(BRIEF) as brief:
                try:
                    return work()
                except OutOfFuel:
                    pass
                finally:
                    burned = BRIEF - max(0, brief.left)
                    self._inline += burned
                    told(burned)
        return await self.run(owner, lambda: _fuelled(work, units, told))

    def _calm(self) -> bool:
        """Whether the event loop has done little of this in these milliseconds."""
        now = time.monotonic()
        if now - self._since > _WINDOW_SECONDS:
            self._since, self._inline = now, 0
        return self._inline < _INLINE

    def submit(self, owner: str, work: Callable[[], T]) -> Future[T]:
        """Queue the work; from any thread."""
        future: Future[T] = Future()
        context = contextvars.copy_context()

        def act() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(context.run(work))
            except BaseException as error:  # noqa: BLE001  it is raised where the result is awaited
                future.set_exception(error)

        with self._ready:
            queue = self._queues.setdefault(owner, deque())
            if len(queue) >= self._most_waiting:
                raise RateLimited(
                    f"{len(queue)} pieces of work of this tenant wait already.", retry_after=1.0
                )
            queue.append(act)
            if self._idle == 0 and self._threads < self._most_threads:
                self._threads += 1
                threading.Thread(target=self._serve, name="aside", daemon=True).start()
            else:
                self._ready.notify()
        return future

    def _serve(self) -> None:
        while True:
            with self._ready:
                self._idle += 1
                if not self._queues:
                    self._ready.wait_for(lambda: bool(self._queues), _IDLE_SECONDS)
                self._idle -= 1
                if not self._queues:
                    self._threads -= 1
                    return
                owner, queue = next(iter(self._queues.items()))
                act = queue.popleft()
                if queue:
                    self._queues.move_to_end(owner)
                else:
                    del self._queues[owner]
            act()
            del act


def _fuelled(work: Callable[[], T], units: int, told: Callable[[int], None]) -> T:
    with tank(units) as full:
        try:
            return work()
        finally:
            told(units - max(0, full.left))


ASIDE = Aside()
"""The process has one: threads are the machine's, whatever role asks."""


LONG = Aside(waiting=1_000)
"""For what is read of, and made of, requests and answers of many values (`json_values.LONG`)."""


async def soon(owner: str, work: Callable[[], Any], units: int = FULL) -> Any:
    """See `Aside.soon`."""
    return await ASIDE.soon(owner, work, units)
