"""Circuits shared by all routers and workers: who opens or closes one tells the others."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import structlog

from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.inference.standing import Board
from intellirouter.memory.store import StateStore

CHANNEL = "router:all:circuit"
MAX_UNSENT = 1000

log = structlog.get_logger(__name__)


class News(msgspec.Struct, frozen=True):
    """A circuit changed at `origin`; `only` is the one witness it opened to."""

    origin: str
    target: str
    opened: bool
    only: str | None = None


@contextlib.asynccontextmanager
async def sharing_circuits(board: Board, store: StateStore) -> AsyncIterator[None]:
    """Tell the others of our circuits and heed theirs, while the context is open."""
    origin = uuid.uuid4().hex
    unsent: asyncio.Queue[News] = asyncio.Queue(MAX_UNSENT)

    def changed(target: str, opened: bool, only: str | None) -> None:
        log.warning("circuit.opened" if opened else "circuit.closed", target=target, only=only)
        with contextlib.suppress(asyncio.QueueFull):  # the others find out by themselves
            unsent.put_nowait(News(origin, target, opened, only))

    async def tell() -> None:
        while True:
            news = await unsent.get()
            try:
                await store.publish(CHANNEL, msgspec.json.encode(news))
            except StateError as error:
                log.warning("circuit.news_not_sent", target=news.target, reason=error.message)

    async def heed() -> None:
        async with store.subscribe(CHANNEL) as events:
            async for event in events:
                try:
                    news = msgspec.json.decode(event.payload, type=News)
                except msgspec.MsgspecError:
                    log.warning("circuit.news_unreadable")
                    continue
                if news.origin != origin:
                    log.info("circuit.heard", target=news.target, opened=news.opened)
                    board.heard(news.target, news.opened, news.only)

    board.on_circuit = changed
    async with background(circuits_out=tell(), circuits_in=heed()):
        yield
