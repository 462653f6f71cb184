"""An OpenTelemetry collector: OTLP's own service on a real socket, which keeps what it receives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services

from tests.servers.ports import free_port

SECONDS = 20


@dataclass(frozen=True)
class Seen:
    """A span as it arrived. Ids are hexadecimal, `seconds` is how long it took, `error` what its status says."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    seconds: float
    failed: bool
    facts: dict[str, Any]


class Collector(services.TraceServiceServicer):
    """`url` is where it listens; `spans` came so far."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Seen] = []
        self.raw = b""
        self._more = asyncio.Event()

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802  its name in the protocol
        self.raw += request.SerializeToString()
        for part in request.resource_spans:
            service = _facts(part.resource.attributes)["service.name"]
            self.spans += [_seen(service, span) for scope in part.scope_spans for span in scope.spans]
        self._more.set()
        return messages.ExportTraceServiceResponse()

    async def until(self, *names: str) -> list[Seen]:
        """All that came, once there is a span of each of these names."""
        async with asyncio.timeout(SECONDS):
            while not set(names) <= {span.name for span in self.spans}:
                self._more.clear()
                await self._more.wait()
        return self.spans

    def one(self, name: str) -> Seen:
        """The only span of that name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


@contextlib.asynccontextmanager
async def collector(port: int | None = None) -> AsyncIterator[Collector]:
    server, kept = grpc.aio.server(), Collector()
    services.add_TraceServiceServicer_to_server(kept, server)
    port = port or free_port()
    server.add_insecure_port(f"127.0.0.1:{port}")
    kept.url = f"http://127.0.0.1:{port}"
    await server.start()
    try:
        yield kept
    finally:
        await server.stop(None)


def _facts(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        kind={1: "internal", 2: "server", 3: "client"}[span.kind],
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        failed=span.status.code == 2,
        facts=_facts(span.attributes),
    )
