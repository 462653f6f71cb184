"""The roles of other nodes, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import (
    InvalidRequest,
    PeerUnavailable,
    UpstreamProtocolError,
)
from intellirouter.peers.contract import (
    Call,
    Judgement,
    ResolvedPersona,
    RetrievalRequest,
    Retrieved,
    RunResult,
)
from intellirouter.peers.costs import CostComment
from intellirouter.peers.documents import (
    caller_of,
    learnt_of,
    owner_document,
    persona_of,
    retrieval_document,
    retrieved_of,
)
from intellirouter.peers.edges import Batch, Taken, taken_of
from intellirouter.peers.grpc import wire
from intellirouter.peers.grpc.channel import Channel
from intellirouter.peers.http_chat import built
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.providers.openai import COMPATIBLE as FLAVOUR
from intellirouter.providers.openai import (
    build_embeddings,
    new_stream,
    parse_chat,
    parse_embeddings,
)
from intellirouter.security.caller import Caller, Owner
from intellirouter.transport.contract import Deadlines, Reply


class _Told(msgspec.Struct):
    """What the Router says of an answer beside it."""

    intellirouter: dict[str, float | None] | None = None


_told = msgspec.json.Decoder(_Told).decode


class GrpcChatCompleter:
    """See `ChatCompleter`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        """See `ChatCompleter.complete`."""
        body = (await built(request.routed(stream=False), _target(request.model), call)).body
        answer = await self._channel.ask("Complete", body, call)
        told = _told(answer).intellirouter or {}
        return msgspec.structs.replace(
            parse_chat(HttpResponse(200, {}, answer)), cost_usd=told.get("cost_usd")
        )

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """See `ChatCompleter.embed`."""
        body = build_embeddings(FLAVOUR, request, _target(request.model)).body
        return parse_embeddings(HttpResponse(200, {}, await self._channel.ask("Embed", body, call)))

    async def caller_of(self, owner: Owner, call: Call) -> Caller:
        """See `ChatCompleter.caller_of`."""
        body = msgspec.json.encode(owner_document(owner))
        return caller_of(_object(await self._channel.ask("Caller", body, call), "Router"))

    async def judge(self, judged: Judgement, call: Call) -> int:
        """See `ChatCompleter.judge`."""
        answer = await self._channel.ask("Outcomes", msgspec.json.encode(judged), call)
        return learnt_of(_object(answer, "Router"))

    async def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """See `ChatCompleter.stream`."""
        wanted = request.routed(stream=True, include_usage=True)
        body = (await built(wanted, _target(request.model), call)).body
        parser, cost = new_stream(), CostComment()
        async for data in self._channel.listen("Stream", body, call):
            cost.feed(data)
            for event in parser.feed(data):
                yield event
        for event in parser.close():
            yield event
        if call.told_cost is not None and cost.usd is not None:
            call.told_cost(cost.usd)


def _target(model: str) -> Target:
    return Target("router", model, "http://router/v1")


class GrpcRetriever:
    """See `Retriever`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """See `Retriever.retrieve`."""
        body = msgspec.json.encode(retrieval_document(request))
        return retrieved_of(_object(await self._channel.ask("Retrieve", body, call), "RagManager"))


class GrpcPersonaResolver:
    """See `PersonaResolver`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def resolve(self, name: str, variables: Mapping[str, Any], call: Call) -> ResolvedPersona:
        """See `PersonaResolver.resolve`."""
        body = msgspec.json.encode({"persona": name, "variables": dict(variables)})
        return persona_of(_object(await self._channel.ask("Resolve", body, call), "PersonaLayer"))


class GrpcChainRunner:
    """See `ChainRunner`. A run whose caller leaves is cancelled: the call's end reaches the other side."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def run(self, name: str, inputs: Mapping[str, Any], call: Call) -> RunResult:
        """See `ChainRunner.run`."""
        body = msgspec.json.encode({"chain": name, "input": dict(inputs)})
        answer = await self._channel.ask("Run", body, call)
        return msgspec.convert(_object(answer, "ChainEngine"), RunResult)


class GrpcCentre:
    """See `Centre`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def take(self, batch: Batch, call: Call) -> Taken:
        """See `Centre.take`."""
        answer = await self._channel.ask("Take", msgspec.json.encode(batch), call)
        return taken_of(_object(answer, "ChainEngine"))


def _object(data: bytes, role: str) -> Json:
    answer = msgspec.json.decode(data)
    if not isinstance(answer, dict):
        raise UpstreamProtocolError(f"the {role} answered with something else than an object")
    return answer


class GrpcReply:
    """See `Reply`."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: AsyncIterator[bytes],
        under_way: Any,
        idle: float,
    ) -> None:
        self.status, self.headers, self.idle = status, headers, idle
        self._pieces, self._under_way = pieces, under_way

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `Reply.chunks`."""
        while True:
            try:
                async with asyncio.timeout(self.idle):
                    piece = await anext(self._pieces)
            except StopAsyncIteration:
                return
            except TimeoutError as cause:
                raise PeerUnavailable(f"the answer stood still for {self.idle:g} s") from cause
            yield piece

    async def read(self, limit: int) -> bytes:
        """See `Reply.read`."""
        data = bytearray()
        async for piece in self.chunks():
            data += piece
            if len(data) > limit:
                raise UpstreamProtocolError(f"the answer is longer than {limit} bytes")
        return bytes(data)

    def close(self) -> None:
        """See `Reply.close`."""
        self._under_way.cancel()


class GrpcRoleApi:
    """See `RoleApi`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        call: Call,
        deadlines: Deadlines,
    ) -> Reply:
        """See `RoleApi.send`."""
        told = {**headers, "x-request-id": call.request_id}
        if call.session:
            told["x-session-id"] = call.session
        head = msgspec.json.encode({"method": method, "path": path, "headers": told})
        if len(head) > wire.MAX_HEAD:
            raise InvalidRequest("The path and the headers of this request are too long to be handed on.")
        under_way = await self._channel.begin(wire.HAND_ON, b"\n".join((head, body)), call)
        pieces = self._channel.pieces(under_way)
        try:
            async with asyncio.timeout(deadlines.first_byte):
                status, answered = _status(await anext(pieces))
        except BaseException as cause:
            under_way.cancel()
            if isinstance(cause, TimeoutError):
                words = f"did not answer within {deadlines.first_byte:g} s"
            elif isinstance(cause, StopAsyncIteration):
                words = "gave no answer"
            else:
                raise
            raise PeerUnavailable(f"the {self._channel.role} {words}") from cause
        return GrpcReply(status, answered, pieces, under_way, deadlines.idle)


_status = msgspec.json.Decoder(tuple[int, dict[str, str]]).decode
