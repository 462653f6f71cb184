"""What the RagManager uses. Its modules are imported only when it is opened."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from intellirouter.app.component import Component, Opened
from intellirouter.inference.background import background
from intellirouter.roles.keys import AUTHORITY, CHAT, KEEPING, METRICS, OUTGOING, STATE, TRACERS
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
            clients = importlib.import_module(REMOTE).rag_clients(settings, settings.rag.helpers)
            helpers = [
                remote.RemoteHelper(endpoint, client)
                for endpoint, client in (await stack.enter_async_context(clients)).items()
            ]
        service = await stack.enter_async_context(
            opening.open_rag(
                settings.rag,
                data_dir,
                registry,
                opened[CHAT],
                helpers,
                opened[TRACERS]("RagManager"),
                opened[AUTHORITY],
                opened[OUTGOING],
                opened[KEEPING],
            )
        )
        if settings.rag.nodes:
            await stack.enter_async_context(_cluster(opened, service))
        await stack.enter_async_context(background(rag_warming=service.warm()))
        yield service


@contextlib.asynccontextmanager
async def _cluster(opened: Opened, service: RagService) -> AsyncIterator[None]:
    """The service as one of several."""
    settings, section = opened.settings, opened.settings.rag
    joining = importlib.import_module("intellirouter.roles.rag_manager.cluster.joining")
    others = {name: url for name, url in section.nodes.items() if name != section.node}
    async with importlib.import_module(REMOTE).rag_clients(settings, others.values()) as clients:
        neighbours = {name: clients[url] for name, url in others.items()}
        async with joining.joined(service, section, opened[STATE], neighbours, settings.ipc.timeout):
            yield


COMPONENTS = (Component(RAG, _rag, (METRICS, AUTHORITY, CHAT, KEEPING, STATE, OUTGOING, TRACERS)),)
