"""The Router reached over the network, through the front every client uses.

The wire is OpenAI's, in which our own extensions (signed thinking, thought signatures) travel too, so nothing that matters
between roles is lost on the way.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import msgspec

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.marks import MANY
from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.errors import decode_error
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import (
    IntelliRouterError,
    PeerUnavailable,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from intellirouter.peers.carried import carrying
from intellirouter.peers.contract import Call, Judgement
from intellirouter.peers.costs import CostComment
from intellirouter.peers.documents import caller_of, learnt_of, owner_document
from intellirouter.peers.refusals import refusal
from intellirouter.providers.adapter import HttpRequest, HttpResponse, Target
from intellirouter.providers.openai import COMPATIBLE as FLAVOUR
from intellirouter.providers.openai import (
    build_chat,
    build_embeddings,
    new_stream,
    parse_chat,
    parse_embeddings,
    parse_error,
)
from intellirouter.security.caller import Caller, Owner
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.telemetry.tracing.span import outgoing, step
from intellirouter.transport.contract import Deadlines, Reply, Transport

T = TypeVar("T")

CALLER_PATH = "/ipc/v1/caller"
OUTCOMES_PATH = "/ipc/v1/outcomes"
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 256 * 1024


def router_error(response: HttpResponse) -> IntelliRouterError:
    """The Router's own refusal as ours; what a provider said to it as the provider's."""
    ours = refusal(response.status, response.body, response.headers.get("retry-after"))
    if ours is not None:
        return ours
    if response.status == 401:
        return PeerUnavailable(
            f"the Router answered 401: {decode_error(response.body, 401, 'router').message}"
        )
    return parse_error(response, "router")


def _priced(http: HttpResponse) -> ChatResponse:
    """The answer with what the Router says it cost."""
    told = http.headers.get("x-intellirouter-cost-usd", "")
    try:
        cost = float(told)
    except ValueError:  # the Router knows no price
        return parse_chat(http)
    return msgspec.structs.replace(parse_chat(http), cost_usd=cost)


async def built(request: ChatRequest, target: Target, call: Call) -> HttpRequest:
    """What the Router is asked with; in a thread where it is long."""
    if request.long or len(request.messages) > MANY:
        return await LONG.run(call.caller.tenant, lambda: _built(request, target))
    return _built(request, target)


def _built(request: ChatRequest, target: Target) -> HttpRequest:
    http = build_chat(FLAVOUR, request, target)
    return msgspec.structs.replace(http, body=carrying(http.body, request))


def _object(answer: HttpResponse) -> Json:
    try:
        return msgspec.json.decode(answer.body, type=Json)
    except msgspec.DecodeError as cause:
        raise UpstreamProtocolError("the Router answered with something else than an object") from cause


class HttpChatCompleter:
    """See `ChatCompleter`. Calls are signed; `timeout` bounds a call without a deadline."""

    def __init__(self, transport: Transport, endpoint: str, signer: PeerSigner, timeout: float) -> None:
        self._transport = transport
        self._endpoint = endpoint.rstrip("/")
        self._signer = signer
        self._timeout = timeout

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        """See `ChatCompleter.complete`."""
        with step("Router", "client"):
            http = await built(request.routed(stream=False), self._target(request.model, call), call)
            return await self._whole(http, call, _priced)

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """See `ChatCompleter.embed`."""
        with step("Router", "client"):
            http = build_embeddings(FLAVOUR, request, self._target(request.model, call))
            return await self._whole(http, call, parse_embeddings)

    async def caller_of(self, owner: Owner, call: Call) -> Caller:
        """See `ChatCompleter.caller_of`."""
        return caller_of(await self._told(CALLER_PATH, msgspec.json.encode(owner_document(owner)), call))

    async def judge(self, judged: Judgement, call: Call) -> int:
        """See `ChatCompleter.judge`."""
        return learnt_of(await self._told(OUTCOMES_PATH, msgspec.json.encode(judged), call))

    async def _told(self, path: str, body: bytes, call: Call) -> Json:
        with step("Router", "client"):
            target = self._target("", call)
            headers = {**target.headers, "content-type": "application/json"}
            http = HttpRequest("POST", self._endpoint + path, tuple(headers.items()), body)
            return await self._whole(http, call, _object)

    async def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """See `ChatCompleter.stream`."""
        wanted = request.routed(stream=True, include_usage=True)
        reply = await self._send(await built(wanted, self._target(request.model, call), call), call)
        try:
            if reply.status >= 300:
                body = await reply.read(MAX_ERROR_BYTES)
                raise router_error(HttpResponse(reply.status, reply.headers, body))
            parser, cost = new_stream(), CostComment()
            async for data in reply.chunks():
                cost.feed(data)
                for event in parser.feed(data):
                    yield event
            for event in parser.close():
                yield event
            if call.told_cost is not None and cost.usd is not None:
                call.told_cost(cost.usd)
        finally:
            reply.close()

    async def _whole(self, http: HttpRequest, call: Call, parse: Callable[[HttpResponse], T]) -> T:
        reply = await self._send(http, call)
        try:
            response = HttpResponse(reply.status, reply.headers, await reply.read(MAX_ANSWER_BYTES))
        finally:
            reply.close()
        if response.status >= 300:
            raise router_error(response)
        return parse(response)

    async def _send(self, http: HttpRequest, call: Call) -> Reply:
        left = self._timeout if call.deadline is None else call.deadline - time.monotonic()
        if left <= 0:
            raise UpstreamTimeout("the call's deadline passed", phase="total", provider="router")
        try:
            return await self._transport.send(http, Deadlines(first_byte=left, total=left))
        except UpstreamUnavailable as cause:
            raise PeerUnavailable(f"the Router at {self._endpoint} does not answer") from cause
        except UpstreamError as error:
            error.provider = error.provider or "router"
            raise

    def _target(self, model: str, call: Call) -> Target:
        headers = {"x-request-id": call.request_id, **self._signer.headers("Router", call.caller)}
        if call.session:
            headers["x-session-id"] = call.session
        if call.idempotency_key:
            headers["idempotency-key"] = call.idempotency_key
        if context := outgoing(call.traceparent):
            headers["traceparent"] = context
        return Target("router", model, f"{self._endpoint}/v1", headers=headers)
