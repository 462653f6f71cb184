"""The node's embedding model, opened when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from intellirouter.errors import ConfigError, StateUnavailable
from intellirouter.roles.rag_manager.embedding.embedder import Embedder, asked_by
from intellirouter.security.caller import Caller


class NodeModel:
    """It is opened once, and goes on opening when whoever asked first cannot wait. One that failed is tried again."""

    def __init__(self, open_embedder: Callable[[], Embedder]) -> None:
        self._open = open_embedder
        self._opening: asyncio.Task[Embedder] | None = None

    async def opened(self) -> Embedder:
        """For the node itself. Raises `ConfigError` that says what to run where there is none."""
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening = asyncio.create_task(asyncio.to_thread(self._open))
        return await asyncio.shield(opening)

    async def for_caller(self, caller: Caller) -> Embedder:
        """For a request. Raises `StateUnavailable` where there is none: whoever asks can do nothing about it, and another
        node may have one."""
        try:
            return (await self.opened()).on_behalf_of(asked_by(caller))
        except ConfigError as cause:
            raise StateUnavailable(cause.message) from cause
