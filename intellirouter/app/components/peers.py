"""How the roles of this process reach one another: the one place that chooses between an object and the network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from intellirouter.app.component import Component, Opened
from intellirouter.errors import ConfigError
from intellirouter.peers.contract import ChatCompleter, Retriever
from intellirouter.peers.http_chat import HttpChatCompleter
from intellirouter.roles.keys import CHAT, RETRIEVER
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.router.completer import LocalChatCompleter
from intellirouter.roles.router.keys import DISPATCH, ROUTING
from intellirouter.transport.choose import make_transport

DEFAULT_ROUTER = "http://127.0.0.1:8080"


def components(local: frozenset[str]) -> tuple[Component[Any], ...]:
    """The peers of a process that runs the roles `local`."""
    chat = (
        Component(CHAT, _local_chat, (DISPATCH, ROUTING))
        if "Router" in local
        else Component(CHAT, _remote_chat)
    )
    if "RagManager" in local:
        return (chat, Component(RETRIEVER, _local_retriever, (RAG,)))
    return (chat, Component(RETRIEVER, _no_retriever))


@contextlib.asynccontextmanager
async def _local_retriever(opened: Opened) -> AsyncIterator[Retriever | None]:
    yield opened[RAG]


@contextlib.asynccontextmanager
async def _no_retriever(_opened: Opened) -> AsyncIterator[Retriever | None]:
    """A RagManager of another process is not reached yet."""
    yield None


@contextlib.asynccontextmanager
async def _local_chat(opened: Opened) -> AsyncIterator[ChatCompleter]:
    yield LocalChatCompleter(opened[DISPATCH], opened[ROUTING].request_timeout)


@contextlib.asynccontextmanager
async def _remote_chat(opened: Opened) -> AsyncIterator[ChatCompleter]:
    section = opened.settings.ipc
    if section.protocol != "http":
        raise ConfigError(f"ipc.protocol: '{section.protocol}' is not part of this build; use 'http'.")
    transport = make_transport(
        opened.settings.router.transport, max_connections=opened.settings.router.max_upstream_connections
    )
    try:
        yield HttpChatCompleter(
            transport, section.router_endpoint or DEFAULT_ROUTER, section.security.token, section.timeout
        )
    finally:
        await transport.aclose()
