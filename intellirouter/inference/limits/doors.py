"""The limits of keys at the doors of the other roles: what a key may ask of a RagManager, a ChainEngine or a PersonaLayer
in a minute is what it may ask of a Router, counted for each role on its own and by all nodes together.

What a chain or a document then asks of a model is counted there, where it is asked (`governor.py`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

from intellirouter.config.schema.limits import LimitsSection, Rate
from intellirouter.errors import RateLimited
from intellirouter.inference.limits.purses import Purses
from intellirouter.inference.limits.terms import MINUTE, rates_of
from intellirouter.memory.store import StateStore
from intellirouter.security.caller import Caller

NO_MODEL = ""


class Doors:
    """One per process, for every role of it."""

    def __init__(self, store: StateStore, limits: LimitsSection) -> None:
        self._purses = Purses(store)
        self.configure(limits)

    def configure(self, limits: LimitsSection) -> None:
        """Take these limits in place of the last ones."""
        self._limits = limits
        rates = (limits.each_key, *limits.keys.values(), *limits.teams.values())
        self._anything = any(rate != Rate() for rate in rates)

    def limit(self, caller: Caller) -> bool:
        """Whether anything limits the caller."""
        return self._anything or caller.quota is not None

    async def enter(self, role: str, caller: Caller) -> None:
        """A request of the caller came to the role. Raises `RateLimited`, `StateUnavailable`."""
        now = time.time()
        for who, rate in rates_of(self._limits, caller, NO_MODEL):
            limit = rate.requests_per_minute
            if limit is None:
                continue
            purse = self._purses.of(f"rate:{who}:requests:{role}", limit, MINUTE, whole=True)
            if purse.take_now(1.0, now):
                continue
            wait = await purse.take(1.0)
            if wait is not None:
                raise RateLimited(
                    f"The limit of {limit} requests per minute of the {who.replace(':', ' ')} is reached at the {role}.",
                    retry_after=wait or MINUTE,
                )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give unused leases back at the end."""
        async with self._purses.running():
            yield
