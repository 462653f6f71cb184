"""A purse: this process's lease of a shared, limited counter.

A request takes from the purse in memory. When it is empty, a small share of the limit is reserved in the store at once,
so that many requests cost one round trip. What is taken is therefore counted in the store before it is used: however many
processes there are, together they never take more than the limit. At most one share per process lies unused.
"""

from __future__ import annotations

import asyncio
import math
import time

from intellirouter.memory.store import Claim, StateStore

SHARE, LASTING_SHARE = 0.01, 0.002
"""Of the limit, leased at once; less of a counter that never starts anew, since a crash loses the lease."""
DENIAL_SECONDS = 0.25
"""A refusal of the store holds for so long before it is asked again: others may have given back."""


class Purse:
    """One counter. `window` in seconds, 0 for a counter that never starts anew."""

    def __init__(self, store: StateStore, key: str, limit: float, window: float, *, whole: bool) -> None:
        self.key = key
        self.limit = limit
        self.window = window
        self.level = 0.0
        """The counter as the store said last."""
        self._store = store
        share = limit * (SHARE if window else LASTING_SHARE)
        self._share = max(share, 1.0) if whole else share
        self._held = 0.0
        self._began = self._ends = 0.0  # of the window at hand
        self._denied_until = 0.0
        self._denied_from = 0.0
        self._refilling = asyncio.Lock()

    def take_now(self, amount: float, now: float) -> bool:
        """Take from what is held; False when it does not suffice. Never waits. `now` is `time.time()`, here and below."""
        if not self._began <= now < self._ends:
            self._turn(now)
        if self._held < amount:
            return False
        self._held -= amount
        return True

    async def take(self, amount: float) -> float | None:
        """Take; None when granted, else the seconds after which it may be. Raises `StateUnavailable`."""
        if self.take_now(amount, time.time()):
            return None
        async with self._refilling:
            if self.take_now(amount, time.time()):
                return None
            now = time.monotonic()
            if now < self._denied_until and amount >= self._denied_from:
                return self.resets_in(time.time())
            missing = amount - self._held  # more than the amount, where a debt is to be paid too
            for lease in (max(missing, self._share), missing):
                taken = await self._store.reserve([Claim(self.key, lease, self.limit, self.window)])
                self.level = taken.levels[0]
                if taken.granted:
                    self._look()
                    self._held += lease - amount
                    return None
            self._denied_until, self._denied_from = now + DENIAL_SECONDS, amount
            return self.resets_in(time.time())

    def give_back(self, amount: float, now: float) -> bool:
        """What was taken and not used; a negative amount is what was used beyond what was taken. True where it now owes."""
        if not self._began <= now < self._ends:
            self._turn(now)
        self._held += amount
        self._denied_until = 0.0
        return self._held < 0

    def remaining(self, now: float) -> float:
        """What may still be taken, as far as this process knows."""
        if not self._began <= now < self._ends:
            self._turn(now)
        left = self.limit - self.level + self._held
        return 0.0 if left < 0 else left if left < self.limit else self.limit

    def held(self, now: float) -> float:
        """What is leased and not used; negative where more was used."""
        return self._held if self._began <= now < self._ends else 0.0

    def resets_in(self, now: float) -> float:
        """Seconds until the window ends; 0 when it never does."""
        return self.window - now % self.window if self.window else 0.0

    async def pay(self) -> None:
        """Count in the store what was used beyond what was taken, if anything. Raises `StateUnavailable`."""
        self._look()
        if self._held < 0:
            await self._hand_over()

    async def close(self) -> None:
        """Give the unused lease back, or pay what was used beyond it. Raises `StateUnavailable`."""
        self._look()
        if self._held:
            await self._hand_over()

    async def _hand_over(self) -> None:
        held, self._held = self._held, 0.0
        try:
            self.level = await self._store.add(self.key, -held, window=self.window)
        except BaseException:
            self._held += held
            raise

    def _look(self) -> None:
        now = time.time()
        if not self._began <= now < self._ends:
            self._turn(now)

    def _turn(self, now: float) -> None:
        """A lease does not outlive its window; what was used beyond it in the last one is forgiven."""
        self._began = now - now % self.window if self.window else 0.0
        self._ends = self._began + self.window if self.window else math.inf
        self._held = 0.0
        self.level = 0.0
        self._denied_until = 0.0
