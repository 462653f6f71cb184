"""What the RagManager uses. Its modules are imported only when it is opened."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from intellirouter.app.component import Component, Opened
from intellirouter.roles.keys import CHAT, METRICS
from intellirouter.roles.rag_manager.keys import RAG

if TYPE_CHECKING:
    from intellirouter.roles.rag_manager.service import RagService

REMOTE = "intellirouter.app.components.remote_peers"


@contextlib.asynccontextmanager
async def _rag(opened: Opened) -> AsyncIterator[RagService]:
    settings = opened.settings
    opening = importlib.import_module("intellirouter.roles.rag_manager.open")
    registry, data_dir = opened[METRICS].registry, settings.paths.data_dir
    async with contextlib.AsyncExitStack() as stack:
        helpers = []
        if settings.rag.helpers:
            remote = importlib.import_module("intellirouter.roles.rag_manager.embedding.remote")
            clients = await stack.enter_async_context(importlib.import_module(REMOTE).rag_clients(settings))
            helpers = [remote.RemoteHelper(endpoint, client) for endpoint, client in clients.items()]
        async with opening.open_rag(settings.rag, data_dir, registry, opened[CHAT], helpers) as service:
            yield service


COMPONENTS = (Component(RAG, _rag, (METRICS, CHAT)),)
