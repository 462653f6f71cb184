"""The roles of other nodes: a client and its connections for each, from `[ipc]`. `asking` are the roles of this node."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Iterable, Mapping
from types import ModuleType
from typing import Any

from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.peers.contract import ChainRunner, ChatCompleter, PersonaResolver, Retriever, RoleApi
from intellirouter.peers.guard import GuardedChains, GuardedChat, GuardedPersonas, GuardedRetriever
from intellirouter.peers.http_chains import HttpChainRunner
from intellirouter.peers.http_chat import HttpChatCompleter
from intellirouter.peers.http_roles import HttpPersonaResolver, HttpRetriever, RoleClient
from intellirouter.security.peer_certificates import peer_tls
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.transport.choose import make_transport
from intellirouter.transport.contract import Transport

DEFAULT_ROUTER = "http://127.0.0.1:8080"
LONGEST_ANSWER = 3600.0
"""Seconds of an answer that is handed on: events are followed for long."""


@contextlib.asynccontextmanager
async def chat(settings: Settings, asking: frozenset[str]) -> AsyncIterator[ChatCompleter]:
    """The Router of another node."""
    section = settings.ipc
    endpoint = section.router_endpoint or DEFAULT_ROUTER
    if section.protocol == "grpc":
        async with _channel(settings, asking, "Router", endpoint) as (grpc, channel):
            yield GuardedChat(grpc.GrpcChatCompleter(channel))
        return
    async with _transport(settings, "Router") as transport:
        signer = PeerSigner(section.security, asking)
        yield GuardedChat(HttpChatCompleter(transport, endpoint, signer, section.timeout))


@contextlib.asynccontextmanager
async def retriever(settings: Settings, asking: frozenset[str]) -> AsyncIterator[Retriever]:
    """The RagManager of another node."""
    if settings.ipc.protocol == "grpc":
        async with _channel(settings, asking, "RagManager", settings.ipc.rag_manager_endpoint) as (
            grpc,
            channel,
        ):
            yield GuardedRetriever(grpc.GrpcRetriever(channel))
        return
    async with _client(settings, asking, "RagManager", settings.ipc.rag_manager_endpoint) as client:
        yield GuardedRetriever(HttpRetriever(client))


@contextlib.asynccontextmanager
async def rag_clients(settings: Settings, endpoints: Iterable[str]) -> AsyncIterator[dict[str, RoleClient]]:
    """Other RagManagers, for a RagManager, by endpoint. Always over HTTP."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            endpoint: await stack.enter_async_context(
                _client(settings, frozenset({"RagManager"}), "RagManager", endpoint)
            )
            for endpoint in endpoints
        }


@contextlib.asynccontextmanager
async def personas(settings: Settings, asking: frozenset[str]) -> AsyncIterator[PersonaResolver]:
    """The PersonaLayer of another node."""
    if settings.ipc.protocol == "grpc":
        async with _channel(settings, asking, "PersonaLayer", settings.ipc.persona_layer_endpoint) as (
            grpc,
            channel,
        ):
            yield GuardedPersonas(grpc.GrpcPersonaResolver(channel))
        return
    async with _client(settings, asking, "PersonaLayer", settings.ipc.persona_layer_endpoint) as client:
        yield GuardedPersonas(HttpPersonaResolver(client))


@contextlib.asynccontextmanager
async def chains(settings: Settings, asking: frozenset[str]) -> AsyncIterator[ChainRunner]:
    """The ChainEngine of another node. A chain may take as long as a request may, not only as a call between roles."""
    longest = settings.router.request_timeout
    if settings.ipc.protocol == "grpc":
        endpoint = settings.ipc.chain_engine_endpoint
        async with _channel(settings, asking, "ChainEngine", endpoint, longest) as (grpc, channel):
            yield GuardedChains(grpc.GrpcChainRunner(channel))
        return
    async with _client(
        settings, asking, "ChainEngine", settings.ipc.chain_engine_endpoint, longest
    ) as client:
        yield GuardedChains(HttpChainRunner(client))


@contextlib.asynccontextmanager
async def _client(
    settings: Settings, asking: frozenset[str], role: str, endpoint: str | None, longest: float | None = None
) -> AsyncIterator[RoleClient]:
    section = settings.ipc
    if endpoint is None:
        raise ConfigError(f"ipc: no endpoint for the {role}.")
    async with _transport(settings, role) as transport:
        yield RoleClient(
            transport, role, endpoint, PeerSigner(section.security, asking), longest or section.timeout
        )


@contextlib.asynccontextmanager
async def _channel(
    settings: Settings, asking: frozenset[str], role: str, endpoint: str | None, longest: float | None = None
) -> AsyncIterator[tuple[ModuleType, Any]]:
    """The module of the gRPC clients, which costs 100 ms to import, and a channel to the role."""
    section = settings.ipc
    if endpoint is None:
        raise ConfigError(f"ipc: no endpoint for the {role}.")
    grpc = importlib.import_module("intellirouter.peers.grpc.clients")
    signer, trust = PeerSigner(section.security, asking), peer_tls(section.security, role)
    channel = grpc.Channel(role, endpoint, signer, longest or section.timeout, trust)
    try:
        yield grpc, channel
    finally:
        await channel.aclose()


@contextlib.asynccontextmanager
async def _transport(settings: Settings, role: str) -> AsyncIterator[Transport]:
    section = settings.router
    transport = make_transport(
        section.transport,
        max_connections=section.max_upstream_connections,
        peer=peer_tls(settings.ipc.security, role),
    )
    if settings.ipc.discovery == "dns":
        # the resolver takes 50 ms to import, and few installations need it
        srv = importlib.import_module("intellirouter.transport.srv")
        transport = srv.SrvTransport(transport, srv.SrvResolver(settings.ipc.dns_server))
    try:
        yield transport
    finally:
        await transport.aclose()


@contextlib.asynccontextmanager
async def role_clients(
    settings: Settings, endpoints: Mapping[str, str]
) -> AsyncIterator[Mapping[str, RoleApi]]:
    """The API of each of these roles, by its name."""
    asking = frozenset({"Router"})
    async with contextlib.AsyncExitStack() as stack:
        if settings.ipc.protocol == "grpc":
            found: dict[str, RoleApi] = {}
            for role, endpoint in endpoints.items():
                opening = _channel(settings, asking, role, endpoint, LONGEST_ANSWER)
                grpc, channel = await stack.enter_async_context(opening)
                found[role] = grpc.GrpcRoleApi(channel)
            yield found
            return
        yield {
            role: await stack.enter_async_context(_client(settings, asking, role, endpoint))
            for role, endpoint in endpoints.items()
        }
