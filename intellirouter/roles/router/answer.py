"""From a canonical request to the client's answer, whatever dialect the client speaks.

A front decodes its dialect, calls `answer`, and is done: whole or streamed, headers, errors and access log are the
same everywhere.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from functools import partial
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from intellirouter.chat.citations import BothForms, with_both_forms
from intellirouter.chat.custom_tools import CustomCalls, custom_names, restored
from intellirouter.chat.delta import Delta, StreamEvent, UsageDelta
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, RouteOptions
from intellirouter.chat.parts import Image
from intellirouter.chat.wire import WireFormat
from intellirouter.errors import IntelliRouterError, ModelNotFound
from intellirouter.inference.answering import Answering, Streamed
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.permission import denied, permitted
from intellirouter.roles.router.asked import Asked, Watch, asked_of, cost_comment, cost_of
from intellirouter.roles.router.keys import ANSWERING, CATALOG, CONTENT, DISPATCH, ROUTING
from intellirouter.roles.router.own_files import with_own_files
from intellirouter.roles.router.pipeline.answering import CHAIN_MODEL
from intellirouter.roles.router.pipeline.course import PERSONA_MODEL
from intellirouter.roles.router.pipeline.persona_guards import carried_by
from intellirouter.security.caller import Caller
from intellirouter.telemetry.logs import exception_facts
from intellirouter.web.body import HOLDS_MUCH, made
from intellirouter.web.endpoint import ACCESS, CALLER, FRAME, PART, REQUEST_ID
from intellirouter.web.sse import StreamWriter
from intellirouter.web.whole import WholeResponse

log = structlog.get_logger(__name__)


def job_of(request: web.Request, chat: ChatRequest, relay: str | None) -> Job:
    """The job for `chat`. Raises `PermissionDenied` for a model the caller may not use."""
    caller = request[CALLER]
    if (
        caller.models
    ):  # refused before anything is looked up for it; what is asked in the end, dispatch checks
        _check_model(request, caller, chat.model)
    if (strategy := request.headers.get("x-intellirouter-strategy")) is not None:
        options = chat.options or RouteOptions()
        chat = chat.routed(options=msgspec.structs.replace(options, strategy=strategy))
    if (persona := request.headers.get("x-intellirouter-persona")) is not None:  # the body's own goes first
        options = chat.options or RouteOptions()
        chat = chat.routed(options=msgspec.structs.replace(options, persona=options.persona or persona))
    app = request.app
    if app[FRAME].recorder is not None:
        request[PART] = asked_of(app[CATALOG], app[CONTENT], chat, caller, relay or "", request)
    limit = app[ROUTING].request_timeout
    timeout = chat.options.timeout if chat.options and chat.options.timeout else limit
    return Job(
        request=chat,
        caller=caller,
        request_id=request[REQUEST_ID],
        deadline=time.monotonic() + min(timeout, limit),
        relay=relay,
        headers=request.headers,
        guards=carried_by(chat) if chat.options is not None else (),
    )


async def read_chat(
    request: web.Request, wire: WireFormat, body: Json, headers: Mapping[str, str] | None = None
) -> ChatRequest:
    """The request that the client's JSON is, with the vendor's own headers."""
    chat = await made(request, lambda: wire.decode_request(body, headers or {}))
    return chat.routed(long=True) if HOLDS_MUCH in request else chat


class Keeper(Protocol):
    """Sees an answer on its way out, and may change what the client is told of it."""

    async def whole(self, body: bytes) -> bytes:
        """A whole answer."""

    async def piece(self, data: bytes) -> bytes:
        """Whole events of a stream."""


async def answer(
    request: web.Request, wire: WireFormat, chat: ChatRequest, keeper: Keeper | None = None
) -> web.StreamResponse:
    """Dispatch `chat` and answer in `wire`."""
    job = await with_own_files(request, job_of(request, chat, wire.name))
    if chat.stream:
        return await _stream(request, wire, job, keeper)
    response, trace = await _answering(request).complete(job)
    if response.raw is None or response.dialect != wire.name:  # else it goes out as it came
        response = with_both_forms(restored(response, custom_names(chat)))
        if not wire.pictures and any(isinstance(p, Image) for one in response.choices for p in one.content):
            trace.notes = (
                *trace.notes,
                "A picture that the model made was left out: this API has no place for it.",
            )
    asked = note_access(request, trace)
    if asked is not None and asked.content is not None:
        asked.content.wire, asked.content.response = wire, response
    body = wire.encode_response(response)
    if keeper is not None:
        body = await keeper.whole(body)
    return WholeResponse(body, answer_headers(request, trace))


def _answering(request: web.Request) -> Answering:
    """Who answers: a role asks models alone, as one in this process does. A step that asked its own chain would never end."""
    return request.app[DISPATCH if request[CALLER].via else ANSWERING]


def _check_model(request: web.Request, caller: Caller, model: str) -> None:
    if model.startswith((PERSONA_MODEL, CHAIN_MODEL)):
        if not caller.may_use(model):
            raise denied(model)
        return
    with contextlib.suppress(ModelNotFound):  # a provider may still list it
        permitted(request.app[CATALOG], caller, model)


def answer_headers(request: web.Request, trace: Trace) -> dict[str, str]:
    """Who answered, after how many tries, and what of the time was ours."""
    headers = {
        "x-intellirouter-model": header_value(trace.model),
        "x-intellirouter-provider": trace.provider,
        "x-intellirouter-attempts": str(trace.calls),
        "x-intellirouter-overhead-ms": f"{trace.overhead_seconds * 1e3:.2f}",
        "x-intellirouter-cost-usd": cost_of(trace),
    }
    if trace.headers:
        headers |= trace.headers
    if request.headers.get("x-intellirouter-explain") == "1":
        headers["x-intellirouter-decision"] = msgspec.json.encode(trace.explained()).decode(
            "ascii", "replace"
        )
    if trace.notes:
        headers["x-intellirouter-notes"] = header_value(" ".join(trace.notes))
    return headers


def header_value(text: str) -> str:
    """`text` as a header may carry it: printable ASCII, bounded."""
    if len(text) <= 1000 and text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else "?" for c in text[:1000])


def asked_by(request: web.Request) -> Asked | None:
    """What the record was told of the request; None where nothing is recorded."""
    if request.app[FRAME].recorder is None:
        return None
    part = request.get(PART)
    return part if isinstance(part, Asked) else None


def note_access(request: web.Request, trace: Trace) -> Asked | None:
    """What the access log and the record should say of this answer; what the record was told."""
    asked = asked_by(request)
    if asked is not None:
        asked.trace = trace
    facts: Callable[[], dict[str, object]] = partial(access_facts, trace)
    request[ACCESS] = facts
    return asked


def access_facts(trace: Trace) -> dict[str, object]:
    """What the access log says of an answer."""
    facts: dict[str, object] = {
        "provider": trace.provider,
        "model": trace.model,
        "attempts": trace.calls,
    }
    if len(trace.answered_by) > 1:
        facts["targets"] = trace.answered_by
    usage, cost = trace.usage, trace.cost_usd
    if usage is not None:
        facts["input_tokens"] = usage.input_tokens
        facts["output_tokens"] = usage.output_tokens
    if cost is not None:
        facts["cost_usd"] = round(cost, 8)
    return facts


async def _stream(
    request: web.Request, wire: WireFormat, job: Job, keeper: Keeper | None
) -> web.StreamResponse:
    """Stream the answer. Before the first byte an error is an HTTP error; after it, an error event."""
    encoder = wire.new_encoder(job.request)
    customs, citations = CustomCalls(custom_names(job.request)), BothForms()
    keep_alive = request.app[ROUTING].keep_alive_seconds
    live: Streamed | None = None
    watch = Watch(asked_by(request))

    def headers() -> Mapping[str, str]:
        known = answer_headers(request, live.trace) if live else {}
        return {**known, "x-request-id": request[REQUEST_ID], wire.request_id_header: request[REQUEST_ID]}

    comments = wire.takes_comments and wire.stream_media_type == "text/event-stream"
    comment = b": keep-alive\n\n" if comments else b""
    writer = StreamWriter(request, wire.stream_media_type, headers, keep_alive=keep_alive, comment=comment)

    async def source() -> AsyncGenerator[bytes]:
        nonlocal live
        live = await _answering(request).stream(job)
        watch.began()
        relays = live.dialect == wire.name
        async for events in live.batches():
            watch.take(events)
            if relays and live.dialect is None:  # another target went on: from here on we write the events
                relays = False
                encoder.encode(citations.restore(customs.restore(live.said)))
            if not relays:
                deltas = customs.restore(tuple(d for event in events for d in event.deltas))
                yield encoder.encode(citations.restore(deltas))
            else:
                yield b"".join([_relayed(event, job.request.include_usage) for event in events])
        yield cost_comment(live.trace, comments) + (wire.relay_end if relays else encoder.finish())

    try:
        await writer.relay(source() if keeper is None else _kept(source(), keeper))
        return await writer.finish()
    except IntelliRouterError as error:
        if writer.response is None:
            raise
        log.warning("stream.broken", request_id=request[REQUEST_ID], **exception_facts(error))
        error.details["request_id"] = request[REQUEST_ID]
        watch.broke(error)
        last = encoder.error(error)
        return await writer.finish(last if keeper is None else await keeper.piece(last))
    finally:
        if live is not None:
            live.close()
            note_access(request, live.trace)


async def _kept(source: AsyncGenerator[bytes], keeper: Keeper) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(source):
        async for data in source:
            yield await keeper.piece(data)


def _relayed(event: StreamEvent, include_usage: bool) -> bytes:
    """The event as it came. We always ask the upstream for usage; a client that did not gets no usage chunk."""
    if not include_usage and _only_usage(event.deltas):
        return b""
    return event.raw


def _only_usage(deltas: tuple[Delta, ...]) -> bool:
    return len(deltas) == 1 and isinstance(deltas[0], UsageDelta)
