"""The PersonaLayer and the RagManager reached over the network, through the API everybody uses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import decode_error
from intellirouter.errors import (
    Conflict,
    IntelliRouterError,
    InvalidRequest,
    NotFound,
    PeerUnavailable,
    UpstreamError,
    UpstreamProtocolError,
)
from intellirouter.peers.contract import Call, ResolvedPersona, RetrievalRequest, Retrieved
from intellirouter.peers.documents import persona_of, retrieval_document, retrieved_of
from intellirouter.peers.refusals import refusal
from intellirouter.providers.adapter import HttpRequest
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.telemetry.tracing.span import outgoing, step
from intellirouter.transport.contract import Deadlines, Reply, Transport

MAX_ANSWER_BYTES = 16 * 1024 * 1024


class RoleClient:
    """Signed JSON calls to one role. `timeout` bounds a call without a deadline."""

    def __init__(
        self, transport: Transport, role: str, endpoint: str, signer: PeerSigner, timeout: float
    ) -> None:
        self._transport = transport
        self._role = role
        self._endpoint = endpoint.rstrip("/")
        self._signer = signer
        self._timeout = timeout

    async def post(self, path: str, body: Json, call: Call, more: Mapping[str, str] | None = None) -> Json:
        """The JSON object of the answer; `more` are headers. Raises `PeerUnavailable`, or the error the role answered with."""
        with step(self._role, "client", {"http.request.method": "POST", "url.path": path}):
            return await self._post(path, body, call, more or {})

    async def _post(self, path: str, body: Json, call: Call, more: Mapping[str, str]) -> Json:
        left = (
            self._timeout if call.deadline is None else min(self._timeout, call.deadline - time.monotonic())
        )
        if left <= 0:
            raise PeerUnavailable(f"the call's deadline passed before the {self._role} was asked")
        headers = {"content-type": "application/json", **more}
        deadlines = Deadlines(connect=min(5.0, left), first_byte=left, total=left)
        reply = await self.send("POST", path, headers, msgspec.json.encode(body), call, deadlines)
        try:
            status, data = reply.status, await reply.read(MAX_ANSWER_BYTES)
            wait = reply.headers.get("retry-after")
        except UpstreamError as cause:
            raise self._away(cause) from cause
        finally:
            reply.close()
        if status >= 300:
            raise said(status, data, self._role, wait)
        answer = msgspec.json.decode(data)
        if not isinstance(answer, dict):
            raise UpstreamProtocolError(f"the {self._role} answered with something else than an object")
        return answer

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        call: Call,
        deadlines: Deadlines,
    ) -> Reply:
        """Whatever the role answers; whoever asks closes it. Raises `PeerUnavailable`."""
        sent = {**headers, "x-request-id": call.request_id}
        if call.session:
            sent["x-session-id"] = call.session
        if context := outgoing(call.traceparent):
            sent["traceparent"] = context
        sent |= self._signer.headers(self._role, call.caller)
        request = HttpRequest(method, self._endpoint + path, tuple(sent.items()), body)
        try:
            return await self._transport.send(request, deadlines)
        except UpstreamError as cause:
            raise self._away(cause) from cause

    def _away(self, cause: UpstreamError) -> PeerUnavailable:
        # a transport speaks of providers
        reason = cause.message.replace("the provider's", "its").replace("the provider", "it")
        return PeerUnavailable(f"the {self._role} at {self._endpoint} does not answer: {reason}")


def said(status: int, data: bytes, role: str, retry_after: str | None = None) -> IntelliRouterError:
    """The role's own refusal as ours; a failure of its own as its absence."""
    if (ours := refusal(status, data, retry_after)) is not None:
        return ours
    error = decode_error(data, status, role)
    if status == 404:
        return NotFound(error.message)
    if status == 409:
        return Conflict(error.message)
    if status in (400, 422):
        return InvalidRequest(error.message, param=_text(data, "param"))
    if status == 401:  # the reason is for the operator of both: nothing a vendor said
        words = _text(data, "message") or error.message
        return PeerUnavailable(f"the {role} answered 401: {words}", answered=status)
    return PeerUnavailable(f"the {role} answered {status}: {error.message}", answered=status)


def _text(data: bytes, field: str) -> str | None:
    """A field of the error's envelope."""
    try:
        value = msgspec.json.decode(data)["error"][field]
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


class HttpPersonaResolver:
    """See `PersonaResolver`."""

    def __init__(self, client: RoleClient) -> None:
        self._client = client

    async def resolve(self, name: str, variables: Mapping[str, Any], call: Call) -> ResolvedPersona:
        """See `PersonaResolver.resolve`."""
        path = f"/v1/personas/{quote(name, safe='')}/render"
        body = await self._client.post(path, {"variables": dict(variables)}, call)
        return persona_of(body)


class HttpRetriever:
    """See `Retriever`."""

    def __init__(self, client: RoleClient) -> None:
        self._client = client

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """See `Retriever.retrieve`."""
        return retrieved_of(await self._client.post("/rag/v1/retrieve", retrieval_document(request), call))
