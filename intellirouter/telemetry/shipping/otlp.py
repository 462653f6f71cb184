"""Lines as log records of OpenTelemetry, over gRPC or HTTP with protobuf, beside its traces and metrics.

Source: opentelemetry-proto `collector/logs/v1`, the protocol's rules on what is sent again, and the semantic conventions' names.
The messages are made here: the SDK's own logs are experimental and bound to its context, and every line has to be cut, redacted and
counted like those of the other outlets.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.util.re import parse_env_headers

from intellirouter.telemetry.addresses import without_person
from intellirouter.telemetry.shipping.entry import Entry, Value, on_one_line, visible
from intellirouter.telemetry.shipping.outlet import Away, Refused
from intellirouter.telemetry.shipping.web import SECONDS, Poster

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_SEVERITIES = {
    "debug": (5, "DEBUG"),
    "info": (9, "INFO"),
    "warning": (13, "WARN"),
    "error": (17, "ERROR"),
    "critical": (21, "FATAL"),
}
_NAMES = {
    "method": "http.request.method",
    "status": "http.response.status_code",
    "path": "url.path",
    "client": "client.address",
    "error": "error.type",
    "message": "exception.message",
    "exception": "exception.stacktrace",
}
_AGAIN = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_SAMPLED = 1


class OverHttp:
    """A `Sender` to `/v1/logs` of an endpoint. `authority` is the certificate that its own is held against, in PEM."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], resource: Mapping[str, str], authority: bytes | None
    ) -> None:
        url = f"{endpoint.rstrip('/')}/v1/logs"
        secure = (
            ssl.create_default_context(cadata=authority.decode("ascii", "replace")) if authority else None
        )
        sent = {**headers, "content-type": "application/x-protobuf"}
        self._poster = Poster(url, sent, secure, range(502, 505))
        self._resource = dict(resource)

    async def send(self, batch: Sequence[Entry]) -> None:
        """See `Sender`."""
        answer = await self._poster.post(exported(batch, self._resource).SerializeToString(), len(batch))
        try:
            _partly(ExportLogsServiceResponse.FromString(answer), len(batch))
        except DecodeError:
            return  # it took them, whatever it says

    async def aclose(self) -> None:
        """See `Sender`."""
        await self._poster.aclose()


class OverGrpc:
    """A `Sender` to the `LogsService` of an endpoint. `authority` as over HTTP."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], resource: Mapping[str, str], authority: bytes | None
    ) -> None:
        address, told = without_person(endpoint)
        url = urlsplit(address)
        self._secure = url.scheme == "https"
        self._authority = authority
        self._target = url.netloc
        told |= {name.lower(): value for name, value in headers.items()}
        self._metadata = tuple(told.items())
        self._resource = dict(resource)
        self._channel: grpc.Channel | None = None

    async def send(self, batch: Sequence[Entry]) -> None:
        """See `Sender`."""
        if self._channel is None:
            self._channel = (
                grpc.secure_channel(self._target, grpc.ssl_channel_credentials(self._authority))
                if self._secure
                else grpc.insecure_channel(self._target)
            )
        ask = self._channel.unary_unary(
            METHOD,
            request_serializer=ExportLogsServiceRequest.SerializeToString,
            response_deserializer=ExportLogsServiceResponse.FromString,
        )
        call = ask.future(exported(batch, self._resource), timeout=SECONDS, metadata=self._metadata)
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def over(_call: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        call.add_done_callback(over)
        try:
            await done.wait()
        finally:
            call.cancel()
        if call.code() is grpc.StatusCode.OK:
            _partly(call.result(), len(batch))
            return
        told = f"{call.code().name} {on_one_line(visible(str(call.details() or '')[:300]))}"
        if call.code() in _AGAIN:
            raise Away(told)
        raise Refused(told, len(batch))

    async def aclose(self) -> None:
        """See `Sender`."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def headers_of(said: str) -> dict[str, str]:
    """Of OpenTelemetry's variable: `a=b,c=d`, percent-encoded."""
    return dict(parse_env_headers(said, liberal=True))


def exported(batch: Sequence[Entry], about: Mapping[str, str]) -> ExportLogsServiceRequest:
    """The message: records by the role that they are of, and by the logger, which is the scope."""
    roles: dict[str, dict[str, list[LogRecord]]] = {}
    for entry in batch:
        roles.setdefault(entry.role, {}).setdefault(entry.logger, []).append(record_of(entry))
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(
                    attributes=[_pair(name, value) for name, value in _resource(role, about).items()]
                ),
                scope_logs=[
                    ScopeLogs(scope=InstrumentationScope(name=logger), log_records=records)
                    for logger, records in loggers.items()
                ],
            )
            for role, loggers in roles.items()
        ]
    )


def record_of(entry: Entry) -> LogRecord:
    """The record of one line."""
    number, text = _SEVERITIES.get(entry.level, (9, entry.level.upper()))
    return LogRecord(
        time_unix_nano=entry.time,
        observed_time_unix_nano=entry.time,
        severity_number=number,  # type: ignore[arg-type]  # an enumeration's number
        severity_text=text,
        body=AnyValue(string_value=entry.event),
        attributes=[
            _pair(_NAMES.get(name, f"intellirouter.{name}"), value) for name, value in entry.fields.items()
        ],
        trace_id=bytes.fromhex(entry.trace),
        span_id=bytes.fromhex(entry.span),
        flags=_SAMPLED if entry.trace else 0,
    )


def _resource(role: str, about: Mapping[str, str]) -> dict[str, str]:
    name = f"intellirouter-{role.lower()}" if role else "intellirouter"
    return {"service.name": name, "service.namespace": "intellirouter", **about}


def _pair(name: str, value: Value) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=name, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=name, value=AnyValue(double_value=value))
    return KeyValue(key=name, value=AnyValue(string_value=value))


def _partly(answer: ExportLogsServiceResponse, lines: int) -> None:
    """Raises `Refused` for the records that were not taken."""
    lost = answer.partial_success.rejected_log_records
    if lost > 0:
        raise Refused(on_one_line(visible(answer.partial_success.error_message[:300])), min(lost, lines))
