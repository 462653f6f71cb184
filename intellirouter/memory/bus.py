"""Events inside one process: every subscriber has a bounded queue, and a slow one loses its oldest events."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from intellirouter.memory.store import Event

QUEUE_LENGTH = 1024
"""Events one subscriber may leave unread."""


def matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all patterns; `*` matches any run of characters."""
    return re.compile(
        "|".join(".*".join(re.escape(piece) for piece in pattern.split("*")) for pattern in patterns),
        re.DOTALL,
    )


class Subscription:
    """One reader. Events are put by the bus and taken by `async for`."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._matches = matcher(patterns).fullmatch
        self._events: deque[Event] = deque(maxlen=QUEUE_LENGTH)
        self._ready = asyncio.Event()
        self._closed = False

    def offer(self, event: Event) -> None:
        """Take the event if it matches; the oldest unread one makes room."""
        if self._matches(event.channel):
            self._events.append(event)
            self._ready.set()

    def close(self) -> None:
        """Nothing more comes; what is unread can still be read."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()


class EventBus:
    """The subscribers of this process."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def publish(self, event: Event) -> None:
        """Offer to all."""
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)

    def join(self, *patterns: str) -> Subscription:
        """A new subscriber; `leave` ends it."""
        subscription = Subscription(patterns)
        self._subscriptions.add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Offer it nothing more."""
        self._subscriptions.discard(subscription)

    @asynccontextmanager
    async def subscribe(self, *patterns: str) -> AsyncIterator[AsyncIterator[Event]]:
        """See `StateStore.subscribe`."""
        subscription = self.join(*patterns)
        try:
            yield subscription
        finally:
            self.leave(subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self._subscriptions):
            subscription.close()
