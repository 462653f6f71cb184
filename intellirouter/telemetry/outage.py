"""What fails each second for as long as a disk is full or a store away, and must not fill the log with that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

AGAIN_SECONDS = 600.0


class Outage:
    """Tells `log` of a failure at once, then every ten minutes with how often it was tried, and when it is over. `clock` gives seconds
    that never go back."""

    def __init__(self, log: Any, begun: str, over: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._begun, self._over = begun, over
        self._clock = clock
        self._failures = 0
        self._told_at = 0.0

    def failed(self, **facts: Any) -> None:
        """It failed (again)."""
        self._failures += 1
        now = self._clock()
        if self._failures == 1 or now - self._told_at >= AGAIN_SECONDS:
            self._told_at = now
            self._log.warning(self._begun, failures=self._failures, **facts)

    def done(self) -> None:
        """It went well."""
        if self._failures:
            self._log.info(self._over, failures=self._failures)
            self._failures = 0
