"""How the roles of this process reach one another: the one place that chooses between an object and the network.

A role that runs here is its own object; one whose endpoint `[ipc]` names is a client over HTTP; any other is not part of
this installation, and whoever asks for it is told so.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from intellirouter.app.component import Component, Opened
from intellirouter.errors import ConfigError
from intellirouter.peers.contract import ChainRunner, ChatCompleter, PersonaResolver, Retriever
from intellirouter.peers.http_chat import HttpChatCompleter
from intellirouter.peers.http_roles import HttpPersonaResolver, HttpRetriever, RoleClient
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.runner import LocalChainRunner
from intellirouter.roles.keys import CHAINS, CHAT, PERSONAS, RETRIEVER
from intellirouter.roles.persona_layer.keys import LIBRARY
from intellirouter.roles.persona_layer.resolver import LocalPersonaResolver
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.router.completer import LocalChatCompleter
from intellirouter.roles.router.keys import DISPATCH, ROUTING
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.transport.choose import make_transport
from intellirouter.transport.contract import Transport

DEFAULT_ROUTER = "http://127.0.0.1:8080"
PEER_TRANSPORT: web.AppKey[Transport] = web.AppKey("peer_transport")


def components(local: frozenset[str]) -> tuple[Component[Any], ...]:
    """The peers of a process that runs the roles `local`."""
    return (
        Component(PEER_TRANSPORT, _transport),
        Component(CHAT, _local_chat, (DISPATCH, ROUTING))
        if "Router" in local
        else Component(CHAT, _remote_chat, (PEER_TRANSPORT,)),
        Component(RETRIEVER, _local_retriever, (RAG,))
        if "RagManager" in local
        else Component(RETRIEVER, _remote_retriever, (PEER_TRANSPORT,)),
        Component(PERSONAS, _local_personas, (LIBRARY,))
        if "PersonaLayer" in local
        else Component(PERSONAS, _remote_personas, (PEER_TRANSPORT,)),
        Component(CHAINS, _local_chains, (ENGINE,))
        if "ChainEngine" in local
        else Component(CHAINS, _no_chains),
    )


@contextlib.asynccontextmanager
async def _transport(opened: Opened) -> AsyncIterator[Transport]:
    section = opened.settings.router
    transport = make_transport(section.transport, max_connections=section.max_upstream_connections)
    try:
        yield transport
    finally:
        await transport.aclose()


def _client(opened: Opened, role: str, endpoint: str) -> RoleClient:
    section = opened.settings.ipc
    if section.protocol != "http":
        raise ConfigError(f"ipc.protocol: '{section.protocol}' is not part of this build; use 'http'.")
    return RoleClient(opened[PEER_TRANSPORT], role, endpoint, PeerSigner(section.security), section.timeout)


@contextlib.asynccontextmanager
async def _local_chat(opened: Opened) -> AsyncIterator[ChatCompleter]:
    yield LocalChatCompleter(opened[DISPATCH], opened[ROUTING].request_timeout)


@contextlib.asynccontextmanager
async def _remote_chat(opened: Opened) -> AsyncIterator[ChatCompleter]:
    section = opened.settings.ipc
    endpoint = section.router_endpoint or DEFAULT_ROUTER
    yield HttpChatCompleter(opened[PEER_TRANSPORT], endpoint, PeerSigner(section.security), section.timeout)


@contextlib.asynccontextmanager
async def _local_retriever(opened: Opened) -> AsyncIterator[Retriever | None]:
    yield opened[RAG]


@contextlib.asynccontextmanager
async def _remote_retriever(opened: Opened) -> AsyncIterator[Retriever | None]:
    endpoint = opened.settings.ipc.rag_manager_endpoint
    yield HttpRetriever(_client(opened, "RagManager", endpoint)) if endpoint else None


@contextlib.asynccontextmanager
async def _local_personas(opened: Opened) -> AsyncIterator[PersonaResolver | None]:
    yield LocalPersonaResolver(opened[LIBRARY])


@contextlib.asynccontextmanager
async def _remote_personas(opened: Opened) -> AsyncIterator[PersonaResolver | None]:
    endpoint = opened.settings.ipc.persona_layer_endpoint
    yield HttpPersonaResolver(_client(opened, "PersonaLayer", endpoint)) if endpoint else None


@contextlib.asynccontextmanager
async def _local_chains(opened: Opened) -> AsyncIterator[ChainRunner | None]:
    yield LocalChainRunner(opened[ENGINE])


@contextlib.asynccontextmanager
async def _no_chains(_opened: Opened) -> AsyncIterator[ChainRunner | None]:
    yield None
