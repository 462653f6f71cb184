"""Hearing from Sentinel that another server is master now.

A client of Sentinel asks who the master is when it connects, and goes on with the connections it has. A master that was deposed while
it lives takes writes on them until Sentinel comes round to make it a replica, ten seconds later, and then forgets them. Sentinel says
at once whom it chose (`+switch-master`, redis.io/docs/latest/operate/oss_and_stack/management/sentinel): every connection is dropped
then, and the next one goes to the new master. Each Sentinel says it for itself, since one that does not know yet still names the old one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from redis.exceptions import RedisError

from intellirouter import tasks
from intellirouter.memory.redis.connect import Client

CHANNEL = "+switch-master"
PROBE = 5.0
AGAIN = 1.0
"""Seconds before a Sentinel that is away is asked again."""

log = structlog.get_logger(__name__)


class Switches:
    """Follows every Sentinel of a client until it is closed."""

    def __init__(self, client: Client, master: str, drop: Callable[[], Awaitable[None]]) -> None:
        pool: Any = client.connection_pool  # type: ignore[union-attr]  # a Cluster has no Sentinels
        self._drop = drop
        self._master = master
        self._tasks = [
            asyncio.create_task(self._follow(sentinel), name=f"sentinel {number}")
            for number, sentinel in enumerate(pool.sentinel_manager.sentinels)
        ]

    async def aclose(self) -> None:
        """Follow them no longer."""
        await tasks.end(*self._tasks)

    async def _follow(self, sentinel: Any) -> None:
        while True:
            with suppress(RedisError, OSError, TimeoutError):
                async with _subscribed(sentinel) as messages:
                    async for message in messages:
                        await self._heard(message)
            await asyncio.sleep(AGAIN)

    async def _heard(self, message: bytes | str) -> None:
        """`NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`. Of several Sentinels each says it."""
        words = (message.decode(errors="replace") if isinstance(message, bytes) else message).split()
        if len(words) == 5 and words[0] == self._master:
            log.warning("redis.master_switched", old=":".join(words[1:3]), new=":".join(words[3:5]))
            await self._drop()


@asynccontextmanager
async def _subscribed(sentinel: Any) -> AsyncIterator[AsyncIterator[bytes | str]]:
    pubsub = sentinel.pubsub()
    try:
        await pubsub.subscribe(CHANNEL)
        yield _messages(pubsub)
    finally:
        with suppress(RedisError, OSError):
            await pubsub.aclose()


async def _messages(pubsub: Any) -> AsyncIterator[bytes | str]:
    silent = 0
    while silent < 2:
        message = await pubsub.get_message(timeout=PROBE)
        if message is None:
            silent += 1
            await pubsub.ping()
            continue
        silent = 0
        if message["type"] == "message":
            yield message["data"]
