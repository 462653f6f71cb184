"""One frame around every handler: request id, authentication, errors, metrics, access log.

A plain wrapper rather than a chain of middlewares: each layer would cost several microseconds a request, and the order
is easier to read here. aiohttp cancels the handler when the client goes away, which reaches the upstream call.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import partial
from random import getrandbits
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import structlog
from aiohttp import web
from multidict import CIMultiDictProxy

from intellirouter.config.redact import without_keys
from intellirouter.errors import IntelliRouterError, InvalidRequest
from intellirouter.records.recorder import Recorder
from intellirouter.security.admission import admitted
from intellirouter.security.api_keys import KeysAwaited
from intellirouter.security.audit.auditor import Auditor
from intellirouter.security.caller import ANONYMOUS, Caller
from intellirouter.security.fence import Parallel
from intellirouter.security.permissions import Permission, permission_of
from intellirouter.telemetry.access import AccessLog
from intellirouter.telemetry.logs import exception_facts
from intellirouter.telemetry.metrics import Metrics, RequestMeter
from intellirouter.telemetry.tracing.span import Attributes, Span, Tracer, current, enter, leave
from intellirouter.transport.outbox import Outbox
from intellirouter.web import auditing
from intellirouter.web.errors import Envelope, error_response, status_of
from intellirouter.web.noting import Failure, Part, error_facts, note
from intellirouter.web.whole import WholeResponse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
VOUCHED: ContextVar[Caller | None] = ContextVar("vouched", default=None)
"""The caller whom code of ours has established already for what it asks within its own task; nothing a client sends can set it."""
ACCESS: web.RequestKey[Callable[[], dict[str, object]]] = web.RequestKey("access")
"""What a role knows of the request for the access log and the trace."""
PART: web.RequestKey[Part] = web.RequestKey("part")
"""What a role knows of the request for the record."""

_MAX_ID = 128
_PLAIN_ID = re.compile(r"(?:req_)?[0-9a-f-]{1,64}")
"""Ours and UUIDs, which read like no key: looking closer costs more than all the rest."""
MAX_SEGMENT = 1_024
"""Characters of a name in a path; what is named may hold it to less."""
log = structlog.get_logger(__name__)


class Authenticator(Protocol):
    """Who sent these headers."""

    def authenticate(self, headers: CIMultiDictProxy[str], transport: asyncio.BaseTransport | None) -> Caller:
        """Raises `AuthenticationFailed`."""


class Doorkeeper(Protocol):
    """The limits of callers at the doors of roles."""

    def limit(self, caller: Caller) -> bool:
        """Whether anything limits the caller."""

    async def enter(self, role: str, caller: Caller) -> None:
        """A request of the caller came. Raises `RateLimited`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the wrapper needs, the same for every endpoint of one role."""

    role: str
    authenticator: Authenticator
    metrics: Metrics
    access: AccessLog
    meters: dict[str, RequestMeter] = field(default_factory=dict)
    outbox: Outbox = field(default_factory=Outbox)
    tracer: Tracer | None = None
    recorder: Recorder | None = None
    parallel: Parallel = field(default_factory=Parallel)
    doors: Doorkeeper | None = None  # None where requests are counted further in
    auditor: Auditor | None = None  # None where nothing is audited

    def meter(self, endpoint: str) -> RequestMeter:
        """The meter of one endpoint."""
        meter = self.meters.get(endpoint)
        if meter is None:
            meter = self.meters[endpoint] = RequestMeter(self.metrics, self.role, endpoint)
        return meter


@dataclass(frozen=True, slots=True)
class Described:
    """What an endpoint is called and says of itself, for the description of the API. `permission` None: nobody is asked.

    `answer` is the type of the answer's JSON, where it is told.
    """

    name: str
    permission: Permission | None
    text: str
    query: tuple[str, ...] = ()
    answer: type | None = None


DESCRIBED: WeakKeyDictionary[Handler, Described] = WeakKeyDictionary()
"""Every endpoint that was wrapped."""

FRAME: web.AppKey[Frame] = web.AppKey("frame", Frame)


def request_id_of(request: web.Request) -> str:
    """The client's `x-request-id` when it is a sane one, else a new id. It stands in logs and records: one that reads like a key is none."""
    given = request.headers.get("x-request-id", "")
    if (
        given
        and len(given) <= _MAX_ID
        and given.isascii()
        and given.isprintable()
        and (_PLAIN_ID.fullmatch(given) or without_keys(given) == given)
    ):
        return given
    # unguessable it need not be; ids that begin with the time lie together in whoever's index
    return f"req_{int(time.time() * 1e3) << 80 | getrandbits(80):032x}"


def endpoint(
    name: str,
    handler: Handler,
    envelope: Envelope,
    *,
    request_id_header: str = "x-request-id",
    recorded: bool = True,
    query: tuple[str, ...] = (),
    answer: type | None = None,
) -> Handler:
    """Wrap `handler`. `name` labels metrics, and says what the caller must hold (`security/permissions.py`).

    `recorded` is false for what only looks at the record, which must not fill it, and for what is asked again and again until
    something is over.
    `query` names the parameters it takes in the query string; `answer` is the msgspec type of the answer's JSON.
    The request id goes out as `x-request-id` and as `request_id_header`, where the dialect has a name of its own.
    """

    asked = permission_of(name)

    async def handle(request: web.Request) -> web.StreamResponse:
        frame = request.app[FRAME]
        began = time.perf_counter()
        request_id = request_id_of(request)
        request[REQUEST_ID] = request_id
        status = 499  # the client went away, unless something answers below
        meter = frame.meter(name)
        meter.begin()
        traced = _traced(frame.tracer, request) if frame.tracer is not None else None
        caller: Caller | None = None
        refusal: Failure | None = None
        settle = False
        try:
            try:
                caller = _admit(frame, request, asked, name)
            except KeysAwaited as awaited:  # once: what is not known then is refused
                await awaited.settled()
                caller = _admit(frame, request, asked, name)
            request[CALLER] = caller
            doors = frame.doors
            if doors is not None and asked is not None and not caller.via and doors.limit(caller):
                await doors.enter(frame.role, caller)
            guarded = not caller.via and (caller.fence is not None or frame.auditor is not None)
            response = await (
                _guarded(frame, caller, request, handler, name) if guarded else handler(request)
            )
            status = response.status
        except IntelliRouterError as error:
            status, refusal = status_of(error), error_facts(error)
            response = _failed(request, error, envelope, status)
        except web.HTTPException as answer:
            status = answer.status
            raise
        except Exception as error:
            status, refusal = 500, Failure("internal_error", type(error).__name__)
            log.exception("request.failed", request_id=request_id, endpoint=name)
            response = error_response(_hidden(error, request_id), envelope)
        finally:
            seconds = time.perf_counter() - began
            trace_id = traced[0].trace_id if traced is not None else ""
            meter.end(status, seconds, trace_id)
            seen = None
            if (
                recorded
                and frame.recorder is not None
                and ((caller is not None and asked is not None) or frame.recorder.stranger())
            ):
                seen = note(
                    frame.recorder,
                    request,
                    frame.role,
                    name,
                    request_id,
                    caller,
                    status,
                    seconds,
                    trace_id,
                    request.get(PART),
                    refusal,
                )
            if frame.access.enabled:
                frame.access.take(
                    seen
                    or (time.time(), _facts(frame.role, request, caller, request_id, name, status, seconds))
                )
            if traced is not None:
                _told(traced, request, caller, status)
            if frame.auditor is not None and (recorded or asked is not None or auditing.NOTED in request):
                settle = _audited(frame.auditor, request, caller, (frame.role, name), status, refusal)
        if settle and frame.auditor is not None:
            await frame.auditor.settled()
        _told_id(frame, response, request_id, request_id_header)
        return response

    DESCRIBED[handle] = Described(name, asked, inspect.getdoc(handler) or "", query, answer)
    return handle


def _told_id(frame: Frame, response: web.StreamResponse, request_id: str, header: str) -> None:
    if response.prepared:
        return
    tell: Callable[[str, str], None]
    if type(response) is WholeResponse:
        response.outbox, tell = frame.outbox, response.tell
    else:
        tell = response.headers.__setitem__
    tell("x-request-id", request_id)
    if header != "x-request-id":
        tell(header, request_id)


def _audited(
    auditor: Auditor,
    request: web.Request,
    caller: Caller | None,
    endpoint: tuple[str, str],
    status: int,
    refusal: Failure | None,
) -> bool:
    code = refusal.code if refusal is not None else ""
    return auditing.ended(auditor, request, caller, *endpoint, request[REQUEST_ID], status, code)


async def _guarded(
    frame: Frame, caller: Caller, request: web.Request, handler: Handler, name: str
) -> web.StreamResponse:
    """The answer to a key that may be used here, from there, and so often at once, once a change is written down where it must be.

    Raises `PermissionDenied`, `RateLimited`, `AuditUnavailable`.
    """
    with frame.parallel.passing(caller.key_id, caller.fence, request.path, request.remote):
        if frame.auditor is not None:
            await auditing.begun(frame.auditor, request, caller, frame.role, name, request[REQUEST_ID])
        return await handler(request)


def _traced(tracer: Tracer, request: web.Request) -> tuple[Span, Token[Span | None]]:
    """The request as a span."""
    span = tracer.request(request.headers.get("traceparent"), partial(_described, request))
    return span, enter(span)


def _described(request: web.Request) -> tuple[str, Attributes]:
    """By OpenTelemetry's conventions for HTTP servers."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None and resource.canonical != "/{tail}" else ""
    facts = {"http.request.method": request.method, "http.route": route, "url.scheme": request.scheme}
    return f"{request.method} {route}".rstrip(), facts


def _told(
    traced: tuple[Span, Token[Span | None]], request: web.Request, caller: Caller | None, status: int
) -> None:
    span, token = traced
    leave(token)
    if not span.recorded:
        return
    noted = request.get(ACCESS, dict)
    facts: dict[str, Any] = {
        **{f"intellirouter.{name}": value for name, value in noted().items()},
        "http.response.status_code": status,
        "intellirouter.request_id": request[REQUEST_ID],
    }
    if caller is not None and caller.key_id is not None:
        facts["intellirouter.key"] = caller.key_id
    span.note(facts)
    span.end(str(status) if status >= 499 else "")  # 499: the client went away


def _check_segments(request: web.Request) -> None:
    for where, value in request.match_info.items():
        if len(value) > MAX_SEGMENT and where != "tail":
            raise InvalidRequest(
                f"'{where}' in the path holds at most {MAX_SEGMENT} characters.", param=where
            )


def _admit(frame: Frame, request: web.Request, asked: Permission | None, name: str) -> Caller:
    if request.match_info:
        _check_segments(request)
    if asked is None:
        return ANONYMOUS
    caller = VOUCHED.get() or frame.authenticator.authenticate(request.headers, request.transport)
    return admitted(caller, frame.role, name, asked)


def _failed(request: web.Request, error: IntelliRouterError, envelope: Envelope, status: int) -> web.Response:
    if status >= 500:
        log.warning(
            "request.refused", request_id=request[REQUEST_ID], path=request.path, **exception_facts(error)
        )
    error.details["request_id"] = request[REQUEST_ID]
    return error_response(error, envelope)


def _hidden(error: Exception, request_id: str) -> IntelliRouterError:
    """What a caller sees of a bug: nothing of its inside."""
    hidden = IntelliRouterError(
        "An internal error occurred; the log has its request id.", request_id=request_id
    )
    hidden.__cause__ = error
    return hidden


def _facts(
    role: str,
    request: web.Request,
    caller: Caller | None,
    request_id: str,
    name: str,
    status: int,
    seconds: float,
) -> dict[str, object]:
    facts: dict[str, object] = {
        "role": role,
        "request_id": request_id,
        "endpoint": name,
        "method": request.method,
        "status": status,
        "ms": round(seconds * 1e3, 2),
        "client": request.remote,
        "key": caller.key_id if caller else None,
    }
    if (span := current()) is not None:
        facts["trace_id"] = span.trace_id
    if noted := request.get(ACCESS):
        facts.update(noted())
    return facts
