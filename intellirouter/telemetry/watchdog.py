"""Names what held the event loop: while it is held nobody is answered, and afterwards nothing shows why.

The loop notes the time a few times a second; a thread looks at the note. Where it is older than a second, the thread writes
down where the loop's thread stands, once for each place, and counts it. Nothing is measured on the way of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from types import FrameType

import structlog
from prometheus_client import CollectorRegistry

from intellirouter.telemetry.light import LightCounter

HELD_SECONDS = 1.0
_BEAT_SECONDS = 0.25
_PLACES = 200
"""Places that are remembered; what comes then is counted and not written down."""
_STACK = 30
"""Innermost frames that are written down."""

log = structlog.get_logger(__name__)


class Watchdog:
    """Of the loop that `watching` is entered on."""

    def __init__(self, registry: CollectorRegistry, held: float = HELD_SECONDS) -> None:
        self._held = held
        self._count = LightCounter(
            "intellirouter_event_loop_held", "Times that the event loop was held", (), registry
        ).labels()
        self._seconds = LightCounter(
            "intellirouter_event_loop_held_seconds", "How long in all", (), registry
        ).labels()
        self._beat = time.monotonic()
        self._over = threading.Event()
        self._places: set[str] = set()
        self._handle: asyncio.TimerHandle | None = None
        self.last = ""
        """The place that was written down last."""

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until left."""
        loop, owner = asyncio.get_running_loop(), threading.get_ident()
        self._note(loop)
        thread = threading.Thread(target=self._watch, args=(owner,), name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            if self._handle is not None:
                self._handle.cancel()
            thread.join(timeout=5)

    def _note(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat = time.monotonic()
        if not self._over.is_set():
            self._handle = loop.call_later(_BEAT_SECONDS, self._note, loop)

    def _watch(self, owner: int) -> None:
        looked, told = time.monotonic(), 0.0
        while not self._over.wait(_BEAT_SECONDS):
            now, beat = time.monotonic(), self._beat
            stopped = now - looked > self._held  # the whole process stood still, not the loop alone
            looked = now
            if stopped or now - beat <= self._held:
                told = 0.0
                continue
            held = now - beat
            if not told:
                self._count.inc()
                self._tell(sys._current_frames().get(owner), held)  # noqa: SLF001  documented, for this use
            self._seconds.inc(held - told)
            told = held

    def _tell(self, frame: FrameType | None, held: float) -> None:
        if frame is None:
            return
        place = _place(frame)
        if place in self._places or len(self._places) >= _PLACES:
            return
        self._places.add(place)
        self.last = place
        stack = "".join(traceback.format_stack(frame, limit=None)[-_STACK:])
        log.error("event_loop.held", seconds=round(held, 2), place=place, stack=stack)


def _place(frame: FrameType) -> str:
    """The innermost line of ours, else the innermost of all."""
    inner: FrameType | None = frame
    while inner is not None:
        if "intellirouter" in inner.f_code.co_filename:
            return _named(inner)
        inner = inner.f_back
    return _named(frame)


def _named(frame: FrameType) -> str:
    name = frame.f_code.co_filename.rpartition("intellirouter/")[2] or frame.f_code.co_filename
    return f"{name}:{frame.f_lineno} {frame.f_code.co_name}"
