"""What the RagManager uses. Its modules are imported only when it is opened."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from intellirouter.app.component import Component, Opened
from intellirouter.inference.background import background
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.limits.ledger import Ledger
from intellirouter.inference.limits.services import Metered
from intellirouter.inference.scrape import SpendMeters
from intellirouter.roles.keys import AUTHORITY, CHAT, KEEPING, METRICS, OUTGOING, STATE, TRACERS
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.router.keys import GOVERNOR
from intellirouter.security.sealing import sealer_of

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
                await stack.enter_async_context(_metered(opened)) if settings.rag.rerank_url else None,
                sealer_of(settings.security),
            )
        )
        if settings.rag.nodes:
            await stack.enter_async_context(_cluster(opened, service))
        await stack.enter_async_context(
            background(rag_warming=service.warm(), rag_sources=service.sources.run())
        )
        yield service


@contextlib.asynccontextmanager
async def _metered(opened: Opened) -> AsyncIterator[Metered]:
    """What a reranking service is asked, counted as what models are: by the Router's governor where one is here, else by one on the same store."""
    settings = opened.settings
    if GOVERNOR in opened.values:
        yield Metered(opened[GOVERNOR], settings.rag.rerank_price)
        return
    ledger = Ledger(opened[STATE], SpendMeters(opened[METRICS]))
    governor = Governor(opened[STATE], ledger, settings.limits, settings.budgets)
    opened.on_reload.append(lambda new: partial(governor.configure, new.limits, new.budgets))
    async with ledger.running(), governor.running():
        yield Metered(governor, settings.rag.rerank_price)


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


def components(local: frozenset[str]) -> tuple[Component[Any], ...]:
    """The components of a process that runs the roles `local`."""
    needs = (METRICS, AUTHORITY, CHAT, KEEPING, STATE, OUTGOING, TRACERS)
    beside = (GOVERNOR,) if "Router" in local else ()  # one purse for a process: two would each lease a share
    return (Component(RAG, _rag, (*needs, *beside)),)
