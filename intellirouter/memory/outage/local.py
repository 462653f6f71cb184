"""A node's own answers, for as long as the shared store gives none.

What nobody on this node has seen or written is not known and raises `StateUnavailable`, never a false absence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from intellirouter.errors import StateUnavailable
from intellirouter.memory.outage import settled
from intellirouter.memory.outage.journal import Journal
from intellirouter.memory.outage.shadow import UNKNOWN, Shadow
from intellirouter.memory.store import Claim, Reservation, Versioned

OVERLAP = 10.0
"""Seconds: a merge is seen again rather than missed because its commit took a moment."""


class LocalState:
    """The journal in `file`, and what this process saw. Methods are those of `StateStore`."""

    def __init__(self, file: Path | None) -> None:
        self.journal = Journal(file)
        self.seen = Shadow()
        self._absorbed = time.time()

    async def get(self, key: str) -> Versioned:
        """See `StateStore.get_versioned`; version `UNKNOWN` when only the value is known."""
        known = await self.journal.value(key, self.seen.value(key))
        if known is None:
            raise StateUnavailable(f"the shared store is away and {key!r} is not known here")
        return known

    async def set(self, key: str, value: bytes, ttl: float | None, only_if_absent: bool) -> bool:
        """See `StateStore.set`. What is not known counts as absent."""

        def allowed(known: Versioned | None) -> bool:
            return not only_if_absent or known is None or known.version == 0

        return await self.journal.write(key, value, ttl, self.seen.value(key), allowed) is not None

    async def put_if(self, key: str, value: bytes, version: int, ttl: float | None) -> int | None:
        """See `StateStore.put_if`. A version that is not known is taken at its word."""

        def allowed(known: Versioned | None) -> bool:
            return known is None or known.version in (version, UNKNOWN)

        return await self.journal.write(key, value, ttl, self.seen.value(key), allowed, after=version)

    async def delete(self, keys: Sequence[str]) -> int:
        """See `StateStore.delete`. Counts the keys known to exist."""
        count = 0
        for key in keys:
            count += await self.journal.delete(key, self.seen.value(key), self.seen.log(key))
        return count

    async def add(self, key: str, amount: float, window: float) -> float:
        """See `StateStore.add`."""
        return await self.journal.add(key, amount, window, self.seen.level(key, window))

    async def level(self, key: str, window: float) -> float:
        """See `StateStore.level`."""
        return await self.journal.level(key, window, self.seen.level(key, window))

    async def reserve(self, claims: Sequence[Claim]) -> Reservation:
        """See `StateStore.reserve`."""
        return await self.journal.reserve(
            claims, [self.seen.level(claim.key, claim.window) for claim in claims]
        )

    async def append(
        self, key: str, items: Sequence[bytes], expected_length: int | None, ttl: float | None
    ) -> int | None:
        """See `StateStore.append`. The length of a log not known is a lower bound."""
        return await self.journal.append(key, items, self.seen.log(key), expected_length, ttl)

    async def log(self, key: str) -> list[bytes]:
        """The whole log."""
        known = await self.journal.log(key, self.seen.log(key))
        if known is None:
            raise StateUnavailable(f"the shared store is away and the log {key!r} is not known here")
        return known

    async def absorb(self) -> None:
        """See what the processes of this node merged, so that logs keep growing from there."""
        began = time.time()
        for key, rows in (await self.journal.logs_since(self._absorbed - OVERLAP)).items():
            known = settled.extend(self.seen.log(key), rows)
            if known is not None:
                self.seen.saw_log(key, known.items, known.at)
        self._absorbed = began
