"""How the roles of this process reach one another: the one place that chooses between an object and the network.

A role that runs here is its own object; one whose endpoint `[ipc]` names is a client over HTTP; any other is not part of
this installation, and whoever asks for it is told so. The clients' modules are imported only where one is used.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import Any

from intellirouter.app.component import Component, Opened
from intellirouter.peers.authority import NodeAuthority
from intellirouter.peers.contract import ChainRunner, ChatCompleter, PersonaResolver, Retriever
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.runner import LocalChainRunner
from intellirouter.roles.keys import AUTHORITY, CHAINS, CHAT, KEY_RING, PERSONAS, RECORDER, RECORDS, RETRIEVER
from intellirouter.roles.persona_layer.keys import SHELVES
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.router.completer import LocalChatCompleter, Recording
from intellirouter.roles.router.judging import Judging
from intellirouter.roles.router.keys import CATALOG, CONTENT, DISPATCH, ROUTING, SCHOOL
from intellirouter.security.authority import Authority

REMOTE = "intellirouter.app.components.remote_peers"


def components(local: frozenset[str]) -> tuple[Component[Any], ...]:
    """The peers of a process that runs the roles `local`."""
    return (
        Component(
            CHAT, _local_chat, (DISPATCH, KEY_RING, ROUTING, CATALOG, CONTENT, RECORDER, SCHOOL, RECORDS)
        )
        if "Router" in local
        else Component(CHAT, _remote_chat),
        Component(RETRIEVER, _local_retriever, (RAG,))
        if "RagManager" in local
        else Component(RETRIEVER, _remote_retriever),
        Component(PERSONAS, _local_personas, (SHELVES,))
        if "PersonaLayer" in local
        else Component(PERSONAS, _remote_personas),
        Component(CHAINS, _local_chains, (ENGINE,))
        if "ChainEngine" in local
        else Component(CHAINS, _remote_chains),
        Component(AUTHORITY, _authority, (KEY_RING, CHAT)),
    )


@contextlib.asynccontextmanager
async def _local_chat(opened: Opened) -> AsyncIterator[ChatCompleter]:
    recording = Recording(opened[RECORDER], opened[CATALOG], opened[CONTENT])
    judging = Judging(opened[SCHOOL], opened[RECORDS])
    yield LocalChatCompleter(
        opened[DISPATCH], opened[ROUTING].request_timeout, opened[KEY_RING], recording, judging
    )


@contextlib.asynccontextmanager
async def _remote_chat(opened: Opened) -> AsyncIterator[ChatCompleter]:
    async with importlib.import_module(REMOTE).chat(opened.settings, opened.local) as completer:
        yield completer


@contextlib.asynccontextmanager
async def _authority(opened: Opened) -> AsyncIterator[Authority]:
    """Where roles trust one another, the Router of another node knows the keys that this node does not."""
    elsewhere = "Router" not in opened.local and opened.settings.ipc.security.enabled
    node = " and ".join(sorted(opened.local)) or "node"
    yield NodeAuthority(opened[KEY_RING], opened[CHAT] if elsewhere else None, node)


@contextlib.asynccontextmanager
async def _local_retriever(opened: Opened) -> AsyncIterator[Retriever | None]:
    yield opened[RAG]


@contextlib.asynccontextmanager
async def _remote_retriever(opened: Opened) -> AsyncIterator[Retriever | None]:
    if not opened.settings.ipc.rag_manager_endpoint:
        yield None
        return
    async with importlib.import_module(REMOTE).retriever(opened.settings, opened.local) as retriever:
        yield retriever


@contextlib.asynccontextmanager
async def _local_personas(opened: Opened) -> AsyncIterator[PersonaResolver | None]:
    module = importlib.import_module("intellirouter.roles.persona_layer.resolver")
    yield module.LocalPersonaResolver(opened[SHELVES])


@contextlib.asynccontextmanager
async def _remote_personas(opened: Opened) -> AsyncIterator[PersonaResolver | None]:
    if not opened.settings.ipc.persona_layer_endpoint:
        yield None
        return
    async with importlib.import_module(REMOTE).personas(opened.settings, opened.local) as personas:
        yield personas


@contextlib.asynccontextmanager
async def _local_chains(opened: Opened) -> AsyncIterator[ChainRunner | None]:
    yield LocalChainRunner(opened[ENGINE])


@contextlib.asynccontextmanager
async def _remote_chains(opened: Opened) -> AsyncIterator[ChainRunner | None]:
    if not opened.settings.ipc.chain_engine_endpoint:
        yield None
        return
    async with importlib.import_module(REMOTE).chains(opened.settings, opened.local) as chains:
        yield chains
