"""Streams that somebody follows: they end with the key that follows, not with the last thing there is to tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import IntelliRouterError, PeerUnavailable, PermissionDenied
from intellirouter.roles.keys import AUTHORITY, KEY_RING
from intellirouter.security.caller import Caller
from intellirouter.web.endpoint import CALLER
from intellirouter.web.sse import StreamWriter

KEEP_ALIVE = 15.0
"""Seconds of silence before a comment."""
ASK_SECONDS = 2.0
"""Between two looks at whether the follower still may."""
STOPPING: web.AppKey[asyncio.Event] = web.AppKey("stopping", asyncio.Event)
"""Set when the role stops: who follows what has no end comes again, and is nothing to wait for."""


async def followed(
    request: web.Request,
    source: AsyncIterator[bytes],
    permission: str,
    opening: bytes = b"",
    *,
    resumable: bool = False,
) -> web.StreamResponse:
    """Server-sent events for as long as the caller is good and holds the permission; what ends them sooner is their last event.

    One that is `resumable`, by `last-event-id`, ends when the role stops.
    """
    writer = StreamWriter(request, "text/event-stream", dict, keep_alive=KEEP_ALIVE)
    try:
        if opening:
            await writer.write(opening)
        stopping = request.app.get(STOPPING) if resumable else None
        await _relayed(writer, source, request, permission, stopping or asyncio.Event())
    except IntelliRouterError as error:
        if writer.response is None:
            raise
        return await writer.finish(b"event: error\ndata: %b\n\n" % encode_error(error))
    return await writer.finish()


async def _relayed(
    writer: StreamWriter,
    source: AsyncIterator[bytes],
    request: web.Request,
    permission: str,
    stopping: asyncio.Event,
) -> None:
    telling = asyncio.create_task(writer.relay(source))
    asking = asyncio.create_task(_ended(request, permission))
    leaving = asyncio.create_task(stopping.wait())
    tasks: tuple[asyncio.Task[object], ...] = (telling, asking, leaving)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _ended(request: web.Request, permission: str) -> None:
    """Ask again and again whether the caller still may. Raises `KeyEnded`, `PermissionDenied`."""
    before: Caller = request[CALLER]
    while True:
        await asyncio.sleep(ASK_SECONDS)
        with contextlib.suppress(PeerUnavailable):  # nobody can say so now
            now = await _caller(request, before)
            if not now.may(permission) or len(now.held & before.held) < len(before.held):
                raise PermissionDenied("What this may has changed since it began: ask again.")


async def _caller(request: web.Request, before: Caller) -> Caller:
    owner = before.owner()
    if (authority := request.app.get(AUTHORITY)) is not None:
        return await authority.caller_of(owner)
    return request.app[KEY_RING].caller_of(owner)
