"""What a role may expect of the RagManager, the PersonaLayer and the ChainEngine, in its process or across the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import InvalidRequest, NotFound, PeerUnavailable, StateUnavailable
from intellirouter.peers.contract import Call, ChainRunner, PersonaResolver, RetrievalRequest, Retriever
from intellirouter.peers.grpc.channel import Channel
from intellirouter.peers.grpc.clients import GrpcChainRunner, GrpcPersonaResolver, GrpcRetriever
from intellirouter.peers.guard import GuardedChains, GuardedPersonas, GuardedRetriever
from intellirouter.peers.http_chains import HttpChainRunner
from intellirouter.peers.http_roles import HttpPersonaResolver, HttpRetriever, RoleClient
from intellirouter.roles.keys import CHAINS, PERSONAS, RETRIEVER
from intellirouter.security.caller import ANONYMOUS
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.transport.choose import make_transport
from tests.conftest import StartNode
from tests.servers.minilm import minilm
from tests.servers.ports import free_port

SIGNER = PeerSigner(IpcSecurity())
CALL = Call(ANONYMOUS, "req_1")
LATE = Call(ANONYMOUS, "req_2", deadline=time.monotonic() - 1)
ECHO = (
    "chain: {name: echo}\ninput: {question: {type: string}}\nsteps: [{id: a, set: {said: input.question}}]\n"
    "output: {answer: steps.a.said}\n"
)
BROKEN = (
    "chain: {name: broken}\ninput: {question: {type: string}}\n"
    "steps: [{id: a, rag: {collection: none, query: x}}]\noutput: {answer: steps.a.text}\n"
)


@dataclass
class Peers:
    """The three, as one role reaches them."""

    retriever: Retriever
    personas: PersonaResolver
    chains: ChainRunner


@pytest.fixture(params=["local", "http", "grpc", "guarded"])
async def peers(
    request: pytest.FixtureRequest, start_node: StartNode, http: aiohttp.ClientSession
) -> AsyncIterator[Peers]:
    port = free_port()
    toml = (
        f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n[server]\ngrpc_port = {port}\n'
    )
    node = await start_node(toml, role="All")
    urls = {each.role: each.url for each in node.listening}
    await fill(http, urls)
    if request.param == "local":
        yield Peers(node.opened[RETRIEVER], node.opened[PERSONAS], node.opened[CHAINS])
        return
    async with AsyncExitStack() as stack:
        if request.param == "grpc":
            channels = {role: Channel(role, f"http://127.0.0.1:{port}", SIGNER, 30) for role in urls}
            for channel in channels.values():
                stack.push_async_callback(channel.aclose)
            yield Peers(
                GrpcRetriever(channels["RagManager"]),
                GrpcPersonaResolver(channels["PersonaLayer"]),
                GrpcChainRunner(channels["ChainEngine"]),
            )
            return
        transport = make_transport("fast", max_connections=8)
        stack.push_async_callback(transport.aclose)
        clients = {role: RoleClient(transport, role, url, SIGNER, 30) for role, url in urls.items()}
        made = Peers(
            HttpRetriever(clients["RagManager"]),
            HttpPersonaResolver(clients["PersonaLayer"]),
            HttpChainRunner(clients["ChainEngine"]),
        )
        if request.param == "guarded":
            made = Peers(
                GuardedRetriever(made.retriever), GuardedPersonas(made.personas), GuardedChains(made.chains)
            )
        yield made


async def fill(http: aiohttp.ClientSession, urls: dict[str, str]) -> None:
    """A collection with one document, and two chains."""
    rag = f"{urls['RagManager']}/rag/v1"
    async with http.post(f"{rag}/collections", json={"name": "docs"}) as reply:
        assert reply.status == 201
    async with http.post(
        f"{rag}/collections/docs/documents?name=cats.txt", data="Cats sleep all day."
    ) as reply:
        job = (await reply.json())["job"]
    async with asyncio.timeout(60), http.get(f"{rag}/jobs/{job}/events") as events:
        assert '"ready"' in await events.text()
    for name, source in (("echo", ECHO), ("broken", BROKEN)):
        async with http.put(f"{urls['ChainEngine']}/v1/chains/{name}", json={"source": source}) as reply:
            assert reply.status == 201, await reply.text()


async def test_passages(peers: Peers) -> None:
    found = await peers.retriever.retrieve(RetrievalRequest("pets", ("docs",), explain=True), CALL)
    (passage,) = found.passages
    assert (passage.text, passage.title, passage.collection) == ("Cats sleep all day.", "cats.txt", "docs")
    assert passage.dense_score is not None
    assert (found.partial, found.skipped) == (False, None)
    assert len(found.explanation["candidates"]) == 1
    with pytest.raises(NotFound, match="no collection 'none'"):
        await peers.retriever.retrieve(RetrievalRequest("pets", ("none",)), CALL)
    with pytest.raises(InvalidRequest, match="query is empty"):
        await peers.retriever.retrieve(RetrievalRequest(" ", ("docs",)), CALL)
    with pytest.raises((PeerUnavailable, StateUnavailable)):
        await peers.retriever.retrieve(RetrievalRequest("dogs", ("docs",)), LATE)


async def test_personas(peers: Peers) -> None:
    resolved = await peers.personas.resolve("support", {"company": "Acme"}, CALL)
    assert (resolved.name, resolved.version) == ("support", 0)
    assert "Acme" in resolved.messages[0].text
    with pytest.raises(NotFound, match="no persona 'nobody'"):
        await peers.personas.resolve("nobody", {}, CALL)
    with pytest.raises(InvalidRequest, match="mood"):
        await peers.personas.resolve("support", {"mood": "sad"}, CALL)


async def test_runs(peers: Peers) -> None:
    done = await peers.chains.run("echo", {"question": "why?"}, CALL)
    assert (done.text, done.error) == ("why?", None)
    assert done.run_id
    failed = await peers.chains.run("broken", {"question": "why?"}, CALL)
    assert failed.error is not None
    with pytest.raises(NotFound, match="no chain 'none'"):
        await peers.chains.run("none", {}, CALL)
    with pytest.raises(InvalidRequest, match="question"):
        await peers.chains.run("echo", {}, CALL)
