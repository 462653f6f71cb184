"""What is said too often is said less: a disk that fills because a provider is down helps nobody."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

ACCESS = "intellirouter.access"
WINDOW = 1.0
KINDS = 1_000
"""Kinds of lines that are counted; of more, the one said least lately is forgotten."""


@dataclass(slots=True)
class _Window:
    began: float
    said: int = 0
    suppressed: int = 0


class Flood:
    """A structlog processor: of one event of one logger at one level, `most` lines a second; the rest is counted, and the count
    goes with the next line of the kind as `suppressed`. `clock` gives seconds that never go back."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._windows: OrderedDict[tuple[object, str, str], _Window] = OrderedDict()

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG002
        """Let the line through, or raise `structlog.DropEvent`."""
        if event.get("logger") == ACCESS:  # has a limit of its own
            return event
        key = (event.get("logger"), method, str(event.get("event")))
        now = self._clock()
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(now)
            if len(self._windows) > KINDS:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(key)
        if now - window.began >= WINDOW:
            window.began, window.said = now, 0
        if window.said >= self._most:
            window.suppressed += 1
            raise structlog.DropEvent
        window.said += 1
        if window.suppressed:
            event["suppressed"], window.suppressed = window.suppressed, 0
        return event
