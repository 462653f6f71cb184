"""How each version of each persona does: answers, errors, rules that had to be enforced, time, tokens and cost.

Kept as counters `persona-outcome:<persona>@<version>:<measure>` in the shared state, written in batches, so that every router
and worker adds to the same ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import structlog

from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.memory.store import StateStore
from intellirouter.telemetry.outage import Outage

MEASURES = ("answers", "errors", "refused", "topic", "length", "schema", "seconds", "output_tokens", "usd")
"""`refused`: answered with the refusal, without a model; `topic`, `length` and `schema`: answers that broke the rule."""
FLUSH_SECONDS = 1.0
MAX_INDEXED = 100_000
KEPT_SECONDS = 400 * 86_400.0
_INDEX, _COUNT = "persona-outcome-index:", "persona-outcome:"

log = structlog.get_logger(__name__)


class Outcomes:
    """Counts in memory and flushes every second, and at the end."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._pending: dict[str, dict[str, float]] = {}
        self._indexed: set[str] = set()
        self._outage = Outage(log, "outcomes.not_written", "outcomes.written_again")

    def count(self, persona: str, **measures: float) -> None:
        """Add to the measures of a persona, named with its version (`analyst@3`)."""
        sums = self._pending.setdefault(persona, {})
        for measure, amount in measures.items():
            if amount:
                sums[measure] = sums.get(measure, 0.0) + amount

    async def flush(self) -> None:
        """Write what has gathered. What cannot be written now stays for the next time."""
        for persona in list(self._pending):
            measures = self._pending.pop(persona)
            try:
                if persona not in self._indexed:
                    await self._store.set(_INDEX + persona, b"", ttl=KEPT_SECONDS)
                    if len(self._indexed) >= MAX_INDEXED:
                        self._indexed.clear()
                    self._indexed.add(persona)
                await self._store.add_all(
                    {f"{_COUNT}{persona}:{measure}": amount for measure, amount in measures.items()}
                )
            except StateError as error:
                self.count(persona, **measures)
                self._outage.failed(reason=error.message)
                return
            self._outage.done()

    async def read(self, name: str) -> list[dict[str, Any]]:
        """One row for each version of the persona that was ever asked, oldest first. Raises `StateUnavailable`."""
        await self.flush()
        prefix = f"{_INDEX}{name}@"
        rows = []
        async for entry in self._store.scan(prefix):
            version = entry.removeprefix(prefix)
            row: dict[str, Any] = {"version": int(version)}
            for measure in MEASURES:
                level = await self._store.level(f"{_COUNT}{name}@{version}:{measure}")
                row[measure] = round(level, 6) if measure in ("seconds", "usd") else int(level)
            rows.append(row)
        return sorted(rows, key=lambda row: int(row["version"]))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flush in the background while the context is open."""
        try:
            async with background(outcomes=self._run()):
                yield
        finally:
            await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:  # one bad entry must not end all later ones
                log.exception("outcomes.crashed")
