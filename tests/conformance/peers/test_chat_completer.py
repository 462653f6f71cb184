"""What a role may expect of the Router, whether it lives in its process or across the network."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from intellirouter.chat.delta import Finish, TextDelta, UsageDelta
from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.model import ChatRequest, Message, RouteOptions
from intellirouter.chat.parts import Text
from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import IntelliRouterError, PeerUnavailable, StreamInterrupted, UpstreamError
from intellirouter.peers.contract import Call, ChatCompleter
from intellirouter.peers.grpc.channel import Channel
from intellirouter.peers.grpc.clients import GrpcChatCompleter
from intellirouter.peers.http_chat import HttpChatCompleter
from intellirouter.roles.keys import KEY_RING
from intellirouter.roles.router.completer import LocalChatCompleter
from intellirouter.roles.router.keys import DISPATCH
from intellirouter.security.caller import ANONYMOUS
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.transport.aiohttp_client import AiohttpTransport
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import STREAM
from tests.servers.dialects.model import INPUT_TOKENS, MODEL, OUTPUT_TOKENS
from tests.servers.dialects.openai_chat import openai as openai_vendor
from tests.servers.ports import free_port
from tests.servers.vendor import Play, Received, Vendor

REQUEST = ChatRequest(model="primary/m", messages=(Message("user", (Text("How is the weather?"),)),))
CLERK = {
    "persona": "clerk",
    "guardrails": {"forbidden_topics": ["the weather"], "refusal": "Not that.", "disclaimer": "No advice."},
}
GUARDED = ChatRequest(model="primary/m", messages=REQUEST.messages, options=RouteOptions(guarded_as=CLERK))
SIGNER = PeerSigner(IpcSecurity())
CALL = Call(ANONYMOUS, "req_1")


class Peer:
    """A Router with a stand-in vendor, and a completer that reaches it."""

    def __init__(self, chat: ChatCompleter, vendor: Vendor) -> None:
        self.chat = chat
        self.vendor = vendor


@pytest.fixture(params=["local", "http", "grpc"])
async def peer(
    request: pytest.FixtureRequest, start_node: StartNode, start_vendor: StartVendor
) -> AsyncIterator[Peer]:
    def embeddings(received: Received) -> Play:
        data = [
            {"index": i, "embedding": [float(len(text))]} for i, text in enumerate(received.json["input"])
        ]
        return Play.json({"model": "e", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    vendor = await start_vendor(openai_vendor, by_path={"/embeddings": embeddings})
    port = free_port()
    node = await start_node(provider(vendor) + f"[server]\ngrpc_port = {port}\n")
    if request.param == "grpc":
        channel = Channel("Router", f"http://127.0.0.1:{port}", SIGNER, 30)
        yield Peer(GrpcChatCompleter(channel), vendor)
        await channel.aclose()
        return
    if request.param == "local":
        yield Peer(LocalChatCompleter(node.opened[DISPATCH], 30, node.opened[KEY_RING]), vendor)
        return
    transport = AiohttpTransport()
    yield Peer(HttpChatCompleter(transport, node.listening[0].url, SIGNER, 30), vendor)
    await transport.aclose()


async def test_a_whole_answer(peer: Peer) -> None:
    answer = await peer.chat.complete(REQUEST, CALL)
    assert answer.choices[0].text == "Grüezi 🌞!  | How is the weather?"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    guarded = (await peer.chat.complete(GUARDED, CALL)).choices[0]
    assert (guarded.text, guarded.finish_reason) == ("Not that.", "content_filter")
    other = msgspec.structs.replace(GUARDED, messages=(Message("user", (Text("Hi"),)),))
    assert (await peer.chat.complete(other, CALL)).choices[0].text.endswith("\n\nNo advice.")


async def test_a_streamed_answer(peer: Peer) -> None:
    deltas = [d async for event in peer.chat.stream(REQUEST.routed(stream=True), CALL) for d in event.deltas]
    assert "".join(d.text for d in deltas if isinstance(d, TextDelta)) == "Grüezi 🌞!  | How is the weather?"
    assert [d.reason for d in deltas if isinstance(d, Finish)] == ["stop"]
    guarded = [d async for event in peer.chat.stream(GUARDED.routed(stream=True), CALL) for d in event.deltas]
    assert "".join(d.text for d in guarded if isinstance(d, TextDelta)).endswith("\n\nNot that.")
    assert [d.usage.output_tokens for d in deltas if isinstance(d, UsageDelta)] == [OUTPUT_TOKENS]


async def test_a_stream_that_breaks_raises(peer: Peer) -> None:
    peer.vendor.answers = [Play.sse(*STREAM[:2], end="reset")]
    with pytest.raises((StreamInterrupted, UpstreamError)):
        async for _ in peer.chat.stream(REQUEST.routed(stream=True), CALL):
            pass


async def test_vectors(peer: Peer) -> None:
    answer = await peer.chat.embed(EmbeddingRequest(model="primary/m", texts=("a", "bcd")), CALL)
    assert answer.vectors == ((1.0,), (3.0,))


async def test_an_unknown_model_is_the_callers_fault(peer: Peer) -> None:
    with pytest.raises(IntelliRouterError, match="does not exist") as raised:
        await peer.chat.complete(REQUEST.routed(model="nope"), CALL)
    assert not raised.value.retryable


async def test_a_call_past_its_deadline_is_not_made(peer: Peer) -> None:
    with pytest.raises(IntelliRouterError):
        await peer.chat.complete(REQUEST, Call(ANONYMOUS, "req_1", deadline=time.monotonic() - 1))
    assert not peer.vendor.received


async def test_a_router_that_is_away_is_said_to_be() -> None:
    transport = AiohttpTransport()
    with pytest.raises(PeerUnavailable, match=r"127\.0\.0\.1:1"):
        await HttpChatCompleter(transport, "http://127.0.0.1:1", SIGNER, 5).complete(REQUEST, CALL)
    await transport.aclose()
