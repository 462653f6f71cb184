"""The ledger: what was spent, by day and by key, team and model. Written in batches, read by the admin API.

Kept as counters `spend:<day>:<kind>:<name>:<measure>`, with an index entry `spend-index:<day>:<kind>:<name>` for each, since
counters cannot be listed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import structlog

from intellirouter.chat.response import Usage
from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.memory.store import StateStore
from intellirouter.security.caller import Caller
from intellirouter.telemetry.outage import Outage

MEASURES = ("usd", "requests", "input_tokens", "output_tokens")
KINDS = ("key", "team", "model")
FLUSH_SECONDS = 1.0
AT_ONCE = 128
"""Counters that are written together."""
DAY = 86_400
KEPT_SECONDS = 400 * 86_400.0

Heard = Callable[[str, str | None, str, Sequence[float]], None]
"""Hears of what a key of a team used of a model: the sums of `MEASURES`, each once."""

log = structlog.get_logger(__name__)


class Ledger:
    """Counts in memory and flushes every second, and at the end."""

    def __init__(self, store: StateStore, heard: Heard | None = None) -> None:
        self._store = store
        self._heard = heard
        self._gathered: dict[tuple[int, str, str | None, str], list[float]] = {}
        self._pending: defaultdict[str, float] = defaultdict(float)
        self._indexed: set[str] = set()
        self._outage = Outage(log, "ledger.not_written", "ledger.written_again")
        self._writing = asyncio.Lock()
        """Held by one flush: whoever reads waits for what another one has under way, and sees no half of it."""

    def spent(self, caller: Caller, model: str, usage: Usage, usd: float) -> None:
        """A request was answered."""
        entry = (int(time.time() // DAY), caller.key_id, caller.team, model)
        sums = self._gathered.get(entry)
        if sums is None:
            sums = self._gathered[entry] = [0.0, 0.0, 0.0, 0.0]
        sums[0] += usd
        sums[1] += 1
        sums[2] += usage.input_tokens
        sums[3] += usage.output_tokens

    async def flush(self) -> None:
        """Write what has gathered. What cannot be written now stays for the next time."""
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for (day, key, team, model), sums in gathered.items():
            names = (key, team, model)
            if self._heard is not None:
                self._heard(key, team, model, sums)
            for kind, name in zip(KINDS, names, strict=True):
                if name:
                    for measure, amount in zip(MEASURES, sums, strict=True):
                        self._pending[f"{day_name(day * DAY)}:{kind}:{name}:{measure}"] += amount
        entries = list(self._pending)
        for at in range(0, len(entries), AT_ONCE):
            some = {entry: self._pending.pop(entry) for entry in entries[at : at + AT_ONCE]}
            try:
                for name in dict.fromkeys(entry.rpartition(":")[0] for entry in some):
                    await self._index(name)
                await self._store.add_all({f"spend:{entry}": amount for entry, amount in some.items()})
            except StateError as error:
                for entry, amount in some.items():
                    self._pending[entry] += amount
                self._outage.failed(reason=error.message)
                return
            self._outage.done()

    async def _index(self, name: str) -> None:
        if name not in self._indexed:
            await self._store.set(f"spend-index:{name}", b"", ttl=KEPT_SECONDS)
            if len(self._indexed) > 100_000:
                self._indexed.clear()
            self._indexed.add(name)

    async def read(self, day: str, kind: str) -> list[dict[str, Any]]:
        """What was spent on a day (`2026-11-20`), by `kind`. Raises `StateUnavailable`."""
        await self.flush()
        prefix = f"spend-index:{day}:{kind}:"
        rows = []
        async for entry in self._store.scan(prefix):
            name = entry.removeprefix(prefix)
            row: dict[str, Any] = {kind: name}
            for measure in MEASURES:
                level = await self._store.level(f"spend:{day}:{kind}:{name}:{measure}")
                row[measure] = round(level, 10) if measure == "usd" else int(level)
            rows.append(row)
        return sorted(rows, key=lambda row: -row["usd"])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flush in the background while the context is open."""
        try:
            async with background(ledger=self._run()):
                yield
        finally:
            await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                if self._gathered or self._pending:
                    await self.flush()
            except Exception:  # one bad entry must not end all later ones
                log.exception("ledger.crashed")


def day_name(moment: float) -> str:
    """The day in UTC, as the ledger names it."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
