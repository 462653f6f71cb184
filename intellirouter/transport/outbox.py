"""What one turn of the event loop writes, written together.

A write wakes whoever waits for it, and where that is another processor's process the waking costs more than the write: an
interrupt is sent across, on a virtual machine by way of its host. Writes that follow one another closely wake it once. So the
first of a turn goes at once, since it may be the only one, and those behind it go together when the turn is over.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Writable(Protocol):
    """A transport, or what stands for one."""

    def is_closing(self) -> bool:
        """Nothing can be written any more."""

    def write(self, data: bytes) -> None:
        """Take the bytes; never waits."""


class Outbox:
    """Of one event loop."""

    __slots__ = ("_held", "_turn")

    def __init__(self) -> None:
        self._held: list[tuple[Writable, bytes]] = []
        self._turn = False  # something was written in this one

    def put(self, to: Writable, data: bytes) -> bool:
        """Write now, or with the others of this turn (True), before anything that is scheduled from here on runs."""
        if self._turn:
            self._held.append((to, data))
            return True
        self._turn = True
        asyncio.get_running_loop().call_soon(self._flush)
        to.write(data)
        return False

    def _flush(self) -> None:
        self._turn = False
        held, self._held = self._held, []
        for to, data in held:
            if not to.is_closing():
                to.write(data)
