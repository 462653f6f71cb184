"""The ChainEngine's own components, and what chains reach when the command line runs one without a server."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intellirouter.app.component import Component, Opened, open_components
from intellirouter.app.components import router, shared
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.config.schema.settings import Settings
from intellirouter.inference.answering import Answering
from intellirouter.inference.job import Job
from intellirouter.peers.edges import Centre
from intellirouter.roles.chain_engine.edges.adopting import NodeRecord
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.outside import Outside
from intellirouter.roles.keys import (
    AUTHORITY,
    CHAT,
    KEEPING,
    METRICS,
    OUTGOING,
    PERSONAS,
    RECORDER,
    RECORDS,
    RETRIEVER,
    STATE,
    TRACERS,
)
from intellirouter.roles.router.keys import CONTENT, DISPATCH
from intellirouter.roles.router.pipeline.guarded_passages import GuardedSearch
from intellirouter.security.caller import ANONYMOUS, Caller
from intellirouter.security.sealing import sealer_of

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService


@dataclass(frozen=True, slots=True)
class LocalModels:
    """llm steps through the dispatch of this process, with its strategies, retries, cache and prices."""

    answering: Answering
    caller: Caller = ANONYMOUS

    async def complete(self, request: ChatRequest, ticket: Ticket) -> tuple[ChatResponse, float | None]:
        """The answer and its cost in US dollars."""
        job = Job(request, self.caller, f"req_{ticket.key}", time.monotonic() + ticket.timeout)
        response, trace = await self.answering.complete(job)
        return response, trace.cost_usd


@contextlib.asynccontextmanager
async def local_ports(settings: Settings) -> AsyncIterator[Ports]:
    """Ports for chains that run in this process without a server, as `intellirouter chain run` does."""
    async with contextlib.AsyncExitStack() as stack:
        opened = Opened(settings, frozenset())
        await open_components(stack, opened, (*shared.COMPONENTS, *router.COMPONENTS), (DISPATCH, OUTGOING))
        outside = Outside(opened[OUTGOING], settings.chain_engine)
        yield Ports(models=LocalModels(opened[DISPATCH]), web=outside, tools=outside)


@contextlib.asynccontextmanager
async def _engine(opened: Opened) -> AsyncIterator[ChainService]:
    """The engine on its database. Its modules are imported only here, so that a Router does not pay for them."""
    settings = opened.settings
    opening = importlib.import_module("intellirouter.roles.chain_engine.open")
    retriever = opened[RETRIEVER]
    if retriever is not None:
        retriever = guarded = GuardedSearch(retriever, settings.guards, opened[METRICS].guards)
        opened.on_reload.append(lambda new: guarded.prepare(new.guards))
    peers = opening.Peers(opened[CHAT], retriever, opened[PERSONAS])
    async with (
        _centre(settings) as centre,
        opening.open_engine(
            settings.chain_engine,
            settings.paths.data_dir,
            peers,
            opened[METRICS].registry,
            opened[AUTHORITY],
            opened[TRACERS]("ChainEngine"),
            opened[OUTGOING],
            opened[KEEPING],
            opened[STATE],
            sealer_of(settings.security),
            centre,
            _record(opened),
            opened[STATE] if settings.memory.backend_type == "redis" else None,
        ) as service,
    ):
        yield service


def _record(opened: Opened) -> NodeRecord | None:
    """The record of requests of this node, which an edge forwards and a centre adopts into."""
    recorder, records = opened[RECORDER], opened[RECORDS]
    if recorder is None or records is None:
        return None
    own_file = opened.settings.records.database_url is None
    return NodeRecord(records, opened[CONTENT], lambda: recorder.bounds.retention_seconds, own_file)


@contextlib.asynccontextmanager
async def _centre(settings: Settings) -> AsyncIterator[Centre | None]:
    """Where an edge forwards its runs."""
    if settings.chain_engine.mode != "hybrid":
        yield None
        return
    async with importlib.import_module("intellirouter.app.components.remote_centre").centre(
        settings
    ) as found:
        yield found


COMPONENTS = (
    Component(
        ENGINE,
        _engine,
        (
            *(METRICS, AUTHORITY, CHAT, KEEPING, RETRIEVER, PERSONAS, OUTGOING, STATE, TRACERS),
            *(RECORDER, RECORDS, CONTENT),
        ),
    ),
)
