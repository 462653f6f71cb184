"""Stay up to date with what is kept in the shared store: read it, hear of changes, and read it again now and then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.memory.store import StateStore

REREAD_SECONDS = 60.0
"""A change of which nobody was told, as while the store was away, is seen after so long."""
RETRY_SECONDS = 1.0
LISTEN_SECONDS = 5.0
"""A start waits so long at most for the store to say that it passes events on."""

log = structlog.get_logger(__name__)

Read = Callable[[], Awaitable[object]]


@contextlib.asynccontextmanager
async def following(
    store: StateStore, channel: str, read: Read, *, name: str, away: Read | None = None
) -> AsyncIterator[None]:
    """Have `read` called before this is entered, and from then on after each event of the channel.

    It listens before it reads: what changes in between is heard. A `read` that raises is called again: after a second where the
    store is away, which the start survives; `away` is called then instead of the first.
    """
    heard, listening = asyncio.Event(), asyncio.Event()

    async def listen() -> None:
        async with store.subscribe(channel) as events:
            listening.set()
            async for _ in events:
                heard.set()

    async def once(*, first: bool = False) -> float:
        try:
            await read()
        except StateError as error:
            (log.warning if first else log.debug)("following.not_read", what=name, reason=error.message)
            if first and away is not None:
                await away()
            return RETRY_SECONDS
        except Exception:  # one unreadable record must not end all later reading
            log.exception("following.crashed", what=name)
        return REREAD_SECONDS

    async def follow(pause: float) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await heard.wait()
            heard.clear()
            pause = await once()

    async with background(**{f"{name}_events": listen()}):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LISTEN_SECONDS):
                await listening.wait()
        async with background(**{name: follow(await once(first=True))}):
            yield
