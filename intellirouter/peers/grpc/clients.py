"""The roles of other nodes, over gRPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import grpc
import grpc.aio
import msgspec
import structlog

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import (
    ConfigError,
    InvalidRequest,
    PayloadTooLarge,
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
from intellirouter.peers.http_chat import built, router_error
from intellirouter.peers.http_roles import said
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.providers.openai import COMPATIBLE as FLAVOUR
from intellirouter.providers.openai import (
    build_embeddings,
    new_stream,
    parse_chat,
    parse_embeddings,
)
from intellirouter.security.caller import Caller, Owner
from intellirouter.security.peer_certificates import PeerTls, role_name
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.telemetry.tracing.span import outgoing, step
from intellirouter.transport.contract import Deadlines, Reply

LOOK_SECONDS = 1.0
"""How often this node's own certificate is looked at."""
_OPTIONS = [
    ("grpc.max_receive_message_length", wire.MAX_BYTES),
    ("grpc.max_send_message_length", -1),  # of a size that somebody took; whoever is asked has a bound
    # a role that is back is used again within a second
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
_MISTRUSTED = "verification check failed"
_ELSEWHERE = "call host does not match"
"""How gRPC tells of a certificate that has not the names it looked for."""
_TOO_LARGE = "larger than max"
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


log = structlog.get_logger(__name__)


class Channel:
    """One connection to a role, for all its calls. `endpoint` is a URL, of which host and port count, and https means TLS."""

    def __init__(
        self, role: str, endpoint: str, signer: PeerSigner, timeout: float, peer: PeerTls | None = None
    ) -> None:
        self.role = role
        self.endpoint = endpoint
        self._signer = signer
        self._timeout = timeout
        parts = urlsplit(endpoint)
        if parts.hostname is None or parts.port is None:
            raise ConfigError(
                f"ipc: the endpoint of the {role} needs a host and a port for gRPC: {endpoint}."
            )
        address = (
            f"[{parts.hostname}]:{parts.port}" if ":" in parts.hostname else f"{parts.hostname}:{parts.port}"
        )
        self._address = address
        self._secure = parts.scheme == "https"
        self._peer = peer
        self._stamp = peer.stamp() if peer else ()
        self._looked = time.monotonic()
        self._channel = self._made()
        self._before: Any = None

    def _made(self) -> Any:
        if not self._secure:
            return grpc.aio.insecure_channel(self._address, options=_OPTIONS)
        # gRPC looks for the overriding name when it connects, and for the authority's host with each call
        names = [("grpc.ssl_target_name_override", role_name(self._peer.role))] if self._peer else []
        names += [("grpc.default_authority", self._address)]
        return grpc.aio.secure_channel(self._address, _credentials(self._peer), options=_OPTIONS + names)

    async def _present(self) -> Any:
        """The channel; a new one after this node's certificate changed on disk, the old one ends its calls meanwhile."""
        now = time.monotonic()
        if self._peer is None or now - self._looked < LOOK_SECONDS:
            return self._channel
        self._looked = now
        stamp = self._peer.stamp()
        if stamp != self._stamp:
            try:
                channel = self._made()
            except ConfigError as error:  # half of a change, perhaps: looked at again
                log.warning("tls.certificate_not_taken", problem=error.message)
                return self._channel
            retired, self._before = self._before, self._channel
            self._channel, self._stamp = channel, stamp
            if retired is not None:
                await retired.close()
        return self._channel

    async def ask(self, name: str, body: bytes, call: Call) -> bytes:
        """One document for another. Raises `PeerUnavailable`, or the error the role answered with."""
        with step(self.role, "client", {"rpc.system": "grpc", "rpc.method": name}):
            return await self._ask(name, body, call)

    async def _ask(self, name: str, body: bytes, call: Call) -> bytes:
        rpc = (await self._present()).unary_unary(
            wire.method(self.role, name), request_serializer=wire.encode, response_deserializer=wire.decode
        )
        try:
            answer: bytes = await rpc(body, timeout=self._left(call), metadata=self._metadata(call))
        except grpc.aio.AioRpcError as error:
            self._failed(error)
        return answer

    async def listen(self, name: str, body: bytes, call: Call) -> AsyncIterator[bytes]:
        """The pieces of a stream."""
        under_way = await self.begin(name, body, call)
        try:
            async for data in self.pieces(under_way):
                yield data
        finally:
            under_way.cancel()

    async def begin(self, name: str, body: bytes, call: Call) -> Any:
        """A stream under way, of which `pieces` are read and which whoever began it cancels."""
        rpc = (await self._present()).unary_stream(
            wire.method(self.role, name), request_serializer=wire.encode, response_deserializer=wire.decode
        )
        return rpc(body, timeout=self._left(call), metadata=self._metadata(call))

    async def pieces(self, under_way: Any) -> AsyncIterator[bytes]:
        """What comes of it. Raises `PeerUnavailable`, or the error the role answered with."""
        try:
            async for data in under_way:
                yield data
        except grpc.aio.AioRpcError as error:
            self._failed(error)

    async def aclose(self) -> None:
        """Cut it."""
        for channel in (self._before, self._channel):
            if channel is not None:
                await channel.close()

    def _left(self, call: Call) -> float:
        left = (
            self._timeout if call.deadline is None else min(self._timeout, call.deadline - time.monotonic())
        )
        if left <= 0:
            raise PeerUnavailable(f"the call's deadline passed before the {self.role} was asked")
        return left

    def _metadata(self, call: Call) -> tuple[tuple[str, str], ...]:
        pairs = {wire.REQUEST_ID: call.request_id, **self._signer.headers(self.role, call.caller)}
        if context := outgoing(call.traceparent):
            pairs[wire.TRACEPARENT] = context
        if call.idempotency_key:
            pairs[wire.IDEMPOTENCY] = call.idempotency_key
        return tuple(pairs.items())

    def _failed(self, error: grpc.aio.AioRpcError) -> NoReturn:
        trailing = dict(error.trailing_metadata() or ())
        envelope, status = trailing.get(wire.ERROR_KEY), str(trailing.get(wire.STATUS_KEY, ""))
        if isinstance(envelope, bytes) and status.isdigit():
            wait = trailing.get(wire.RETRY_AFTER)
            raise self.error(int(status), envelope, wait if isinstance(wait, str) else None) from error
        if _MISTRUSTED in (error.details() or "") or _ELSEWHERE in (error.details() or ""):
            raise PeerUnavailable(
                f"the {self.role} at {self.endpoint} has no certificate that names this role and this host"
            ) from error
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or ""):
            raise PayloadTooLarge(
                f"The {self.role} takes no request of this size (server.max_body_bytes there)."
            ) from error
        if error.code() in _AWAY:
            raise PeerUnavailable(
                f"the {self.role} at {self.endpoint} does not answer ({error.code().name})"
            ) from error
        raise PeerUnavailable(
            f"the {self.role} at {self.endpoint} refused the call ({error.code().name})"
        ) from error

    def error(self, status: int, envelope: bytes, retry_after: str | None = None) -> Exception:
        """The role's own error as ours; of the Router the provider's, as over HTTP."""
        if self.role == "Router":
            headers = {"retry-after": retry_after} if retry_after else {}
            return router_error(HttpResponse(status, headers, envelope))
        return said(status, envelope, self.role, retry_after)


def _credentials(peer: PeerTls | None) -> Any:
    if peer is None:
        return grpc.ssl_channel_credentials()
    try:
        files = (peer.ca.read_bytes(), peer.key.read_bytes(), peer.certificate.read_bytes())
    except OSError as cause:
        raise ConfigError(f"ipc.security: {cause.filename} cannot be read ({cause.strerror}).") from cause
    return grpc.ssl_channel_credentials(*files)


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
