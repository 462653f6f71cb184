"""What each tenant keeps of things that are kept for a time: how many, and their bytes.

Counted by periods as long as that time: what expires need not be looked for, and at most twice a period's bound is there.
"""

from __future__ import annotations

from typing import Literal

from intellirouter.memory.store import StateStore

Measure = Literal["number", "bytes"]


class Tally:
    """Counters of one kind; `period` in seconds."""

    def __init__(self, store: StateStore, kind: str, period: float) -> None:
        self._store = store
        self._kind = kind
        self._period = period

    async def level(self, tenant: str, measure: Measure) -> float:
        """What this period has of it."""
        return await self._store.level(self._key(tenant, measure), window=self._period)

    async def added(self, tenant: str, number: int, size: int) -> None:
        """Count what was written."""
        if number:
            await self._store.add(self._key(tenant, "number"), number, window=self._period)
        await self._store.add(self._key(tenant, "bytes"), size, window=self._period)

    async def removed(self, tenant: str, number: int, size: int) -> None:
        """Count what was deleted. What an earlier period wrote makes no room in this one."""
        for measure, amount in (("number", number), ("bytes", size)):
            key = self._key(tenant, "number" if measure == "number" else "bytes")
            if back := min(amount, await self._store.level(key, window=self._period)):
                await self._store.add(key, -back, window=self._period)

    def _key(self, tenant: str, measure: Measure) -> str:
        return f"kept:{self._kind}:{tenant}:{measure}"
