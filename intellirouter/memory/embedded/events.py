"""Events between the processes that share one file.

Within a process they go straight over the bus. For the others a row is written; each process that has subscribers
looks every `POLL` seconds whether another connection changed the file (SQLite's `data_version`, a read of shared
memory) and, if so, reads the rows it has not seen.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from intellirouter import tasks
from intellirouter.errors import StateUnavailable
from intellirouter.memory.bus import EventBus
from intellirouter.memory.embedded.engine import Engine
from intellirouter.memory.store import Event

POLL = 0.1

log = structlog.get_logger(__name__)


class EmbeddedEvents:
    """Publishes to this process and to the others on the same file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bus = EventBus()
        self._origin = uuid.uuid4().hex
        self._seen = 0
        self._version = -1
        self._poller: asyncio.Task[None] | None = None

    async def publish(self, channel: str, payload: bytes) -> None:
        """See `StateStore.publish`."""
        if self._engine.path is not None:
            row = (self._origin, time.time(), channel, payload)
            await self._engine.write(
                lambda connection: (
                    connection.execute(
                        "insert into event (origin, at, channel, payload) values (?, ?, ?, ?)", row
                    ).rowcount
                )
            )
        self._bus.publish(Event(channel, payload))

    @asynccontextmanager
    async def subscribe(self, *patterns: str) -> AsyncIterator[AsyncIterator[Event]]:
        """See `StateStore.subscribe`."""
        if self._engine.path is not None and self._poller is None:
            self._seen = await self._engine.read(_last_id)
            self._poller = asyncio.create_task(self._poll(), name="state events")
        async with self._bus.subscribe(*patterns) as events:
            yield events

    async def close(self) -> None:
        """Stop looking and end every subscription."""
        poller, self._poller = self._poller, None
        if poller is not None:
            await tasks.end(poller)
        self._bus.close()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            if not self._bus:
                continue
            try:
                rows = await self._engine.read(self._fresh)
            except StateUnavailable as error:
                log.warning("state.events_unreadable", reason=error.message)
                continue
            for channel, payload in rows:
                self._bus.publish(Event(channel, payload))

    def _fresh(self, connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
        version = connection.execute("pragma data_version").fetchone()[0]
        if version == self._version:
            return []
        self._version = version
        rows = connection.execute(
            "select id, channel, payload, origin from event where id > ? order by id", (self._seen,)
        ).fetchall()
        if rows:
            self._seen = rows[-1][0]
        return [(row[1], row[2]) for row in rows if row[3] != self._origin]


def _last_id(connection: sqlite3.Connection) -> int:
    return int(connection.execute("select coalesce(max(id), 0) from event").fetchone()[0])
