"""The peers of this process, offered over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import unquote

import grpc
import grpc.aio
import msgspec
import structlog

from intellirouter.chat import openai_embeddings
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.errors import (
    ConfigError,
    IntelliRouterError,
    InvalidRequest,
    UpstreamProtocolError,
)
from intellirouter.peers.contract import (
    Call,
)
from intellirouter.peers.costs import comment
from intellirouter.peers.grpc import wire
from intellirouter.peers.grpc.methods import UNARY, Document, chat_of, document
from intellirouter.security.admission import admitted
from intellirouter.security.caller import Caller
from intellirouter.security.fence import Parallel
from intellirouter.security.permissions import OF_ENDPOINT
from intellirouter.telemetry.logs import exception_facts
from intellirouter.telemetry.tracing.span import Span, Tracer, enter

STOP_SECONDS = 30.0
MAX_CALLS = 10_000
"""Under way at once; more are refused."""
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

log = structlog.get_logger(__name__)
T = TypeVar("T")

IDLE_MS = 300_000
"""A connection without a call for so long is ended; whoever calls again makes a new one."""
MAX_STREAMS = 1_000
"""Calls at once over one connection."""
MAX_METADATA = 16 * 1024
"""Bytes of a call's metadata."""
Api = Callable[
    [Caller, str, str, Mapping[str, str], bytes], AsyncIterator[tuple[int, dict[str, str]] | bytes]
]
"""The role's HTTP API for somebody who was let in: method, path, headers, body; status and headers first, then the body."""
Context = Any
"""`grpc.aio.ServicerContext`, which has no types of its own."""


class Doorkeeper(Protocol):
    """See `Gatekeeper`."""

    def authenticate(self, headers: Mapping[str, str], transport: Any) -> Caller:
        """Raises `AuthenticationFailed`."""


class Meter(Protocol):
    """See `RequestMeter`."""

    def begin(self) -> None:
        """A call arrived."""

    def end(self, status: int, seconds: float) -> None:
        """It was answered."""


class Limiter(Protocol):
    """See `Doors`."""

    def limit(self, caller: Caller) -> bool:
        """Whether anything limits the caller."""

    async def enter(self, role: str, caller: Caller) -> None:
        """A call of the caller came. Raises `RateLimited`."""


@dataclass(frozen=True, slots=True)
class Offered:
    """One role of this process: its peer, who may come in, and what is counted. `doors` None: calls are counted further in.

    `api` answers what a Router hands on.
    """

    role: str
    peer: object
    doorkeeper: Doorkeeper
    meter: Callable[[str], Meter]
    tracer: Tracer | None = None
    doors: Limiter | None = None
    api: Api | None = None
    parallel: Parallel = dataclasses.field(default_factory=Parallel)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files; with `ca` a client must present a certificate of it."""

    certificate: Path
    key: Path
    ca: Path | None = None


class _Connection:
    """A call's TLS connection as the gatekeeper asks for it."""

    def __init__(self, facts: Mapping[str, list[bytes]]) -> None:
        self._names = [
            name.decode(errors="replace") for name in facts.get("x509_subject_alternative_name", ())
        ]

    def get_extra_info(self, name: str) -> Any:
        if name != "peercert" or not self._names:
            return None
        return {"subjectAltName": tuple(("DNS", name) for name in self._names)}


@contextlib.asynccontextmanager
async def serving(
    offered: list[Offered], host: str, port: int, tls: ServerTls | None, max_bytes: int, max_values: int
) -> AsyncIterator[int]:
    """Serve the roles while the context is open; the port. Raises `ConfigError` when it cannot listen."""
    server = grpc.aio.server(
        maximum_concurrent_rpcs=MAX_CALLS,
        options=[
            ("grpc.max_receive_message_length", max_bytes + wire.MAX_HEAD),
            ("grpc.max_connection_idle_ms", IDLE_MS),
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            ("grpc.max_metadata_size", MAX_METADATA),
            ("grpc.max_send_message_length", wire.MAX_BYTES),
        ],
    )
    server.add_generic_rpc_handlers(tuple(_service(one, max_values) for one in offered))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = (
            server.add_secure_port(address, _credentials(tls)) if tls else server.add_insecure_port(address)
        )
    except (RuntimeError, OSError) as cause:
        raise ConfigError(f"gRPC cannot listen on {address} (server.grpc_port): {cause}.") from cause
    await server.start()
    log.info("grpc.listening", host=host, port=bound, roles=[one.role for one in offered])
    try:
        yield bound
    finally:
        await server.stop(STOP_SECONDS)


def _credentials(tls: ServerTls) -> Any:
    try:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        ca = tls.ca.read_bytes() if tls.ca is not None else None
    except OSError as cause:
        raise ConfigError(f"{cause.filename} cannot be read for gRPC ({cause.strerror}).") from cause
    return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)


def _service(offered: Offered, most_values: int) -> Any:
    acts = UNARY.get(offered.role, {})
    handlers = {name: _unary(offered, name, act, most_values) for name, act in acts.items()}
    if offered.role == "Router":
        handlers["Stream"] = _streamed(offered, most_values)
    if offered.api is not None and offered.role != "Router":
        handlers[wire.HAND_ON] = _handed_on(offered, offered.api)
    return grpc.method_handlers_generic_handler(f"{wire.PACKAGE}.{offered.role}", handlers)


def _unary(
    offered: Offered, name: str, act: Callable[[Any, Document, Call], Awaitable[bytes]], most_values: int
) -> Any:
    if name == "Embed":
        most_values = max(most_values, openai_embeddings.MAX_VALUES)

    async def handle(body: bytes, context: Context) -> bytes:
        async with _call(offered, name, context) as call:
            return await act(offered.peer, await document(body, most_values, call), call)

    return grpc.unary_unary_rpc_method_handler(handle, None, wire.encode)


def _streamed(offered: Offered, most_values: int) -> Any:
    async def handle(body: bytes, context: Context) -> AsyncIterator[bytes]:
        async with _call(offered, "Stream", context) as call:
            peer: Any = offered.peer
            chat = await chat_of(await document(body, most_values, call), call, stream=True)
            encoder = FORMAT.new_encoder(chat)
            costs: list[float] = []
            async for event in peer.stream(chat, dataclasses.replace(call, told_cost=costs.append)):
                if data := encoder.encode(event.deltas):
                    yield data
            yield comment(costs[0] if costs else None) + encoder.finish()

    return grpc.unary_stream_rpc_method_handler(handle, None, wire.encode)


class _Asked(msgspec.Struct):
    method: str
    path: str
    headers: dict[str, str]


_asked = msgspec.json.Decoder(_Asked).decode


def _handed_on(offered: Offered, api: Api) -> Any:
    async def handle(message: bytes, context: Context) -> AsyncIterator[bytes]:
        async with _call(offered, wire.HAND_ON, context) as call:
            try:
                whole = wire.decode(message)
                end = whole.find(b"\n", 0, wire.MAX_HEAD + 1)
                asked, body = _asked(whole[: max(end, 0)]), whole[end + 1 :]
            except (UpstreamProtocolError, msgspec.DecodeError, UnicodeDecodeError) as cause:
                raise InvalidRequest(f"This is no request to hand on: {cause}.") from cause
            answer = api(call.caller, asked.method, asked.path, asked.headers, body)
            async with contextlib.aclosing(cast("AsyncGenerator[Any]", answer)) as pieces:
                async for piece in pieces:
                    yield piece if isinstance(piece, bytes) else msgspec.json.encode(piece)

    return grpc.unary_stream_rpc_method_handler(handle, None, wire.encode)


@contextlib.asynccontextmanager
async def _call(offered: Offered, name: str, context: Context) -> AsyncIterator[Call]:
    """Let the caller in, count, and turn an error into a status."""
    meter = offered.meter(f"grpc_{name.lower()}")
    began, status = time.perf_counter(), 499
    meter.begin()
    span = _traced(offered.tracer, offered.role, name, context) if offered.tracer is not None else None
    try:
        call = _admitted(offered, name, context)
        caller, doors = call.caller, offered.doors
        if caller.via:
            yield call
        else:  # a client of its own: what holds at the doors of HTTP holds here
            if doors is not None and doors.limit(caller):
                await doors.enter(offered.role, caller)
            place = wire.method(offered.role, name), _address(context.peer())
            with offered.parallel.passing(caller.key_id, caller.fence, *place):
                yield call
        status = 200
    except IntelliRouterError as error:
        status = error.status
        if status >= 500:
            log.warning("grpc.refused", role=offered.role, method=name, **exception_facts(error))
        await _abort(context, error)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except Exception:
        status = 500
        log.exception("grpc.failed", role=offered.role, method=name)
        await _abort(context, IntelliRouterError("An internal error occurred; the log says more."))
    finally:
        meter.end(status, time.perf_counter() - began)
        if span is not None:
            span.end(str(status) if status >= 499 else "")


def _traced(tracer: Tracer, role: str, name: str, context: Context) -> Span:
    """The call as a span, under way until its task ends: each call is a task of its own."""
    traceparent = next((value for key, value in _metadata(context) if key == wire.TRACEPARENT), None)
    facts = {"rpc.system": "grpc", "rpc.service": f"{wire.PACKAGE}.{role}", "rpc.method": name}
    span = tracer.request(traceparent, lambda: (f"{wire.PACKAGE}.{role}/{name}", facts))
    enter(span)
    return span


def _metadata(context: Context) -> Iterator[tuple[str, str]]:
    return ((key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str))


def _admitted(offered: Offered, name: str, context: Context) -> Call:
    metadata = dict(_metadata(context))
    caller = offered.doorkeeper.authenticate(metadata, _Connection(context.auth_context()))
    endpoint = f"grpc_{name.lower()}"
    caller = admitted(caller, offered.role, endpoint, OF_ENDPOINT[endpoint])
    left = context.time_remaining()
    return Call(
        caller=caller,
        request_id=metadata.get(wire.REQUEST_ID, "")[:128],
        deadline=None if left is None else time.monotonic() + left,
        idempotency_key=metadata.get(wire.IDEMPOTENCY),
        traceparent=metadata.get(wire.TRACEPARENT),
    )


def _address(peer: str) -> str:
    """The address of `ipv4:10.0.0.7:5000` or `ipv6:[::1]:5000`; gRPC may have percent signs in the latter."""
    return unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")


async def _abort(context: Context, error: IntelliRouterError) -> None:
    code = _CODES.get(error.status, grpc.StatusCode.INTERNAL)
    trailing: tuple[tuple[str, str | bytes], ...] = (
        (wire.ERROR_KEY, encode_error(error)),
        (wire.STATUS_KEY, str(error.status)),
    )
    if (wait := getattr(error, "retry_after", None)) is not None:
        trailing = (*trailing, (wire.RETRY_AFTER, str(max(1, math.ceil(wait)))))
    await context.abort(code, error.message[:500].encode("ascii", "replace").decode(), trailing)
