"""The record of requests as it grows: `intellirouter requests --follow`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import typer

from intellirouter.cli.server_session import refused, session_of
from intellirouter.errors import PeerUnavailable

SILENCE_SECONDS = 60.0
"""The server says at least a comment every fifteen."""
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 300.0
"""Of a node that went away: it is restarted, and drains for some time before."""
LATE_SECONDS = 15.0
"""Rows may become known so long after younger ones: what came within this before a break is asked for again."""
MOST_KNOWN = 20_000


async def follow(
    url: str | None,
    api_key: str | None,
    config: Path | None,
    path: str,
    last: str,
    take: Callable[[Any], None],
) -> None:
    """Hand each row behind `last` to `take` once as the server tells of it, until the user ends. A connection that breaks is made again.

    Raises `ServerRefused`, and `PeerUnavailable` where the server stays away.
    """
    told, away = _Told(last), None
    async with session_of(url, api_key, config=config) as session:
        while True:
            try:
                async for row in _rows(session, path, told.mark()):
                    away = None
                    if row is not None and told.new(row["id"]):
                        take(row)
                why = "it ended the stream"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            if away is None:
                away = time.monotonic()
                typer.echo(f"The server went away: {why}. It is asked again.", err=True)
            elif time.monotonic() - away > PATIENCE_SECONDS:
                raise PeerUnavailable(f"the server stays away: {why}")
            await asyncio.sleep(PAUSE_SECONDS)


class _Told:
    """Which rows were told, and behind which to go on."""

    def __init__(self, last: str) -> None:
        self._old = last
        self._recent = deque[tuple[float, str]]()
        self._known: dict[str, None] = {}

    def new(self, name: str) -> bool:
        """Note a row. False where it was told."""
        if name in self._known:
            return False
        now = time.monotonic()
        self._known[name] = None
        self._recent.append((now, name))
        while self._recent[0][0] < now - LATE_SECONDS or len(self._recent) > MOST_KNOWN:
            self._old = self._recent.popleft()[1]
        while len(self._known) > 2 * MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return True

    def mark(self) -> str:
        """The id to go on behind. What comes again is known."""
        return self._old


async def _rows(session: aiohttp.ClientSession, path: str, last: str) -> AsyncIterator[Any]:
    """None once it is made, and the rows that come. A server that is about to stop, or not yet ready, is one that went away."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
    async with session.get(path, headers={"last-event-id": last}, timeout=timeout) as reply:
        if reply.status in (421, 502, 503, 504):
            raise aiohttp.ClientConnectionError(f"it answered {reply.status}")
        if reply.status >= 400:
            raise await refused(reply)
        yield None
        async for line in reply.content:
            if line.startswith(b"data: "):
                yield msgspec.json.decode(line[6:])
