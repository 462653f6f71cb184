"""Spans recorded by OpenTelemetry's SDK and sent to a collector over OTLP/gRPC, a second later and in batches.

Names and attributes are those of OpenTelemetry's semantic conventions (HTTP, GenAI), what they have no name for `intellirouter.…`.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from random import random
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Tracer as OtelTracer

from intellirouter.telemetry.addresses import without_person
from intellirouter.telemetry.tracing.span import NOTHING, TRACEPARENT, Attributes, Kind, PassedAlong, Span

BATCH_SECONDS = 1.0
"""What ended within so long is sent together; up to 2,048 spans wait, and what is more is dropped, and said."""
EXPORT_SECONDS = 3.0
"""A try to send a batch ends after so long."""
_KINDS: Mapping[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_NOT_SAMPLED = PassedAlong()
Protocol = Literal["grpc", "http"]
NO_HEADERS: Mapping[str, str] = {}
log = structlog.get_logger(__name__)


class Exporter:
    """One queue and one connection for all roles of a process. Opening does not wait for the collector."""

    def __init__(
        self,
        endpoint: str,
        node: str,
        version: str,
        rate: float,
        *,
        protocol: Protocol = "grpc",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        exporter = _exporter("trace", "OTLPSpanExporter", endpoint, protocol, headers)
        self._exporter = _Telling(exporter, urlsplit(endpoint))
        self._processor = BatchSpanProcessor(self._exporter, schedule_delay_millis=BATCH_SECONDS * 1e3)
        self._node, self._version, self._rate = node, version, rate

    def of(self, role: str) -> RoleTracer:
        """The tracer of a role."""
        return RoleTracer(self._processor, role, self._node, self._version, self._rate)

    async def aclose(self) -> None:
        """Send what waits, or give it up after `EXPORT_SECONDS`."""
        sending = asyncio.create_task(asyncio.to_thread(self._processor.shutdown))
        done, _ = await asyncio.wait((sending,), timeout=EXPORT_SECONDS)
        if not done:
            self._exporter.shutdown()
        await sending


def metric_exporter(endpoint: str, protocol: Protocol, headers: Mapping[str, str]) -> Any:
    """What sends metrics there."""
    return _exporter("metric", "OTLPMetricExporter", endpoint, protocol, headers)


def _exporter(kind: str, name: str, endpoint: str, protocol: Protocol, headers: Mapping[str, str]) -> Any:
    """The library's exporter of a kind of signals; only the one that is asked for is imported."""
    module = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{kind}_exporter")
    endpoint, told = without_person(endpoint)
    given = told | {name.lower(): value for name, value in headers.items()}
    if protocol == "http":
        endpoint = f"{endpoint.rstrip('/')}/v1/{kind}s"
        return getattr(module, name)(endpoint, headers=given, timeout=EXPORT_SECONDS)
    return getattr(module, name)(endpoint, headers=tuple(given.items()), timeout=EXPORT_SECONDS)


class _Telling(SpanExporter):
    """Says when the collector goes and when it is back; the library says every try."""

    def __init__(self, exporter: SpanExporter, endpoint: SplitResult) -> None:
        self._exporter = exporter
        self._where = f"{endpoint.hostname}:{endpoint.port}"
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info("traces.back", collector=self._where, lost_spans=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                log.warning("traces.away", collector=self._where)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Clock:
    """Nanoseconds since 1970, for the spans of a trace in this process: none ends before it began, and parts lie within
    the whole, though the system's clock is set meanwhile."""

    __slots__ = ("_began",)

    def __init__(self) -> None:
        self._began = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        return self._began + time.monotonic_ns()


class Recorded:
    """A `Span` of the SDK."""

    __slots__ = ("_clock", "_span", "_tracer", "recorded")

    def __init__(self, tracer: OtelTracer, span: OtelSpan, clock: _Clock) -> None:
        self._tracer = tracer
        self._span = span
        self._clock = clock
        self.recorded = True

    @property
    def traceparent(self) -> str:
        """See `Span`."""
        context = self._span.get_span_context()
        return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-01"

    @property
    def trace_id(self) -> str:
        """See `Span`."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def child(self, name: str, kind: Kind = "internal", attributes: Attributes = NOTHING) -> Recorded:
        """See `Span`."""
        context, began = set_span_in_context(self._span), self._clock.now()
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes=attributes, start_time=began)
        return Recorded(self._tracer, span, self._clock)

    def note(self, attributes: Attributes) -> None:
        """See `Span`."""
        self._span.set_attributes(attributes)

    def end(self, error: str = "") -> None:
        """See `Span`. A second end changes nothing."""
        if not self._span.is_recording():
            return
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(self._clock.now())


class _Ids(RandomIdGenerator):
    """Random ids, but for a root whose ids are already known to its parts."""

    def __init__(self) -> None:
        self.known: list[int] = []
        """Those that come next: of the trace, then of the span."""

    def generate_trace_id(self) -> int:
        return self.known.pop(0) if self.known else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.known.pop(0) if self.known else super().generate_span_id()


class RoleTracer:
    """A `Tracer`; `rate` is the share of traces that is recorded of those that begin here."""

    def __init__(self, processor: SpanProcessor, role: str, node: str, version: str, rate: float) -> None:
        self._ids = _Ids()
        resource = Resource.create(
            {
                "service.name": f"intellirouter-{role.lower()}",
                "service.namespace": "intellirouter",
                "service.instance.id": node,
                "service.version": version,
            }
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("intellirouter", version)
        self._rate = rate

    def request(self, traceparent: str | None, described: Callable[[], tuple[str, Attributes]]) -> Span:
        """See `Tracer`. What it came with decides whether it is recorded; the rate does for the others."""
        parent = TRACEPARENT(traceparent) if traceparent else None
        if parent is None:
            if random() >= self._rate:  # noqa: S311  a sample, not a secret
                return _NOT_SAMPLED
            context = Context()
        elif not int(parent[3], 16) & TraceFlags.SAMPLED:
            return PassedAlong(traceparent)
        else:
            context = _remote(int(parent[1], 16), int(parent[2], 16))
        name, attributes = described()
        return self._begun(name, SpanKind.SERVER, context, attributes)

    def part_of(self, what: str, name: str, attributes: Attributes = NOTHING) -> Span:
        """See `Tracer`. Ids are made from `what`, so that every node comes to the same, also to whether it is recorded."""
        trace, root = _ids_of(what)
        if not self._sampled(trace):
            return PassedAlong(f"00-{format_trace_id(trace)}-{format_span_id(root)}-00")
        return self._begun(name, SpanKind.INTERNAL, _remote(trace, root), attributes)

    def whole(
        self, what: str, name: str, seconds: float, error: str, attributes: Attributes = NOTHING
    ) -> None:
        """See `Tracer`."""
        trace, root = _ids_of(what)
        if not self._sampled(trace):
            return
        self._ids.known = [trace, root]
        clock = _Clock()
        began = clock.now() - int(seconds * 1e9)
        span = self._tracer.start_span(name, Context(), attributes=attributes, start_time=began)
        Recorded(self._tracer, span, clock).end(error)

    def _begun(self, name: str, kind: SpanKind, context: Context, attributes: Attributes) -> Recorded:
        clock = _Clock()
        span = self._tracer.start_span(name, context, kind, attributes=attributes, start_time=clock.now())
        return Recorded(self._tracer, span, clock)

    def _sampled(self, trace: int) -> bool:
        """As OpenTelemetry's TraceIdRatioBased decides: by the lower half of the id."""
        return trace & 0xFFFF_FFFF_FFFF_FFFF < self._rate * 2**64


def _remote(trace: int, span: int) -> Context:
    """The context in which a span of another process is the parent."""
    known = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(known), Context())


def _ids_of(what: str) -> tuple[int, int]:
    """Of the trace, and of its root."""
    digest = hashlib.sha256(f"intellirouter {what}".encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
