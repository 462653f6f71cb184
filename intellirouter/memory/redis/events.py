"""Pub/sub on Redis. A subscription has a connection of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import RedisError

from intellirouter.errors import StateUnavailable
from intellirouter.memory.bus import matcher
from intellirouter.memory.redis.connect import Client
from intellirouter.memory.redis.keys import Keys, escape
from intellirouter.memory.redis.waits import Waits
from intellirouter.memory.store import Event

PROBE = 5.0
"""Seconds of silence after which the connection is asked whether it lives."""


class RedisEvents:
    """Subscriptions of one client. Those that wait when `waits` are given up go on with the master that is chosen then."""

    def __init__(self, client: Client, keys: Keys, waits: Waits) -> None:
        self._client = client
        self._keys = keys
        self._waits = waits

    @asynccontextmanager
    async def subscribe(self, *patterns: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Entered once Redis has confirmed the subscription."""
        pubsub: Any = self._client.pubsub()
        known = self._waits.given_up
        try:
            names = [self._keys.channel(escape(pattern)).encode() for pattern in patterns]
            try:
                if isinstance(self._client, RedisCluster):
                    await self._client.initialize()
                await pubsub.psubscribe(*names)
                for _ in patterns:
                    await pubsub.get_message(timeout=PROBE)
            except (RedisError, OSError, TimeoutError) as error:
                raise StateUnavailable(f"Redis does not answer: {error}") from error
            yield self._read(pubsub, names, [matcher((pattern,)) for pattern in patterns], known)
        finally:
            with suppress(RedisError, OSError):  # it is being dropped anyway
                await pubsub.aclose()

    async def _read(
        self, pubsub: Any, names: list[bytes], matchers: list[re.Pattern[str]], known: int
    ) -> AsyncIterator[Event]:
        try:
            silent = 0
            while True:
                if known != self._waits.given_up:
                    known = self._waits.given_up
                    await pubsub.connection.disconnect()  # the next question connects, and subscribes again
                try:
                    async with self._waits.one() as wait:
                        message = await pubsub.get_message(ignore_subscribe_messages=False, timeout=PROBE)
                        if message is None:
                            silent += 1
                            if silent > 1:
                                raise StateUnavailable("Redis does not answer a subscription")
                            await pubsub.ping()
                            continue
                except TimeoutError:
                    if not wait.expired():
                        raise
                    continue
                silent = 0
                if message["type"] != "pmessage":
                    continue
                channel = self._keys.channel_of(message["channel"])
                # a message that matches several patterns comes once for each: the first match counts
                first = next((index for index, one in enumerate(matchers) if one.fullmatch(channel)), None)
                if first is not None and names[first] == message["pattern"]:
                    yield Event(channel, message["data"])
        except (RedisError, OSError, asyncio.IncompleteReadError) as error:
            raise StateUnavailable(f"Redis does not answer: {error}") from error
