"""What leaves a node for other systems: metrics and traces over OTLP/HTTP, figures of streams and spenders, logs in ECS."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from intellirouter.telemetry import logs
from intellirouter.telemetry.access import AccessLog
from intellirouter.telemetry.ecs import ecs
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import BODY, STREAM
from tests.servers.vendor import Play

SPEC = ("@timestamp", "log.level", "message", "ecs.version")
"""What elastic/ecs-logging's spec.json 1.0 requires; the first three in this order."""


class HttpCollector:
    """An OpenTelemetry collector's HTTP endpoints."""

    def __init__(self) -> None:
        self.metrics: dict[str, Any] = {}
        self.spans: list[str] = []
        self.headers: list[str] = []
        self.news = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/metrics", self._metrics)
        app.router.add_post("/v1/traces", self._traces)
        self.server = TestServer(app)

    async def _body(self, request: web.Request) -> bytes:
        self.headers.append(request.headers.get("authorization", ""))
        assert request.content_type == "application/x-protobuf"
        return await request.read()

    async def _metrics(self, request: web.Request) -> web.Response:
        message = ExportMetricsServiceRequest.FromString(await self._body(request))
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics |= {metric.name: metric for metric in scope.metrics}
        self.news.set()
        return web.Response()

    async def _traces(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await self._body(request))
        self.spans += [
            span.name for part in message.resource_spans for scope in part.scope_spans for span in scope.spans
        ]
        self.news.set()
        return web.Response()


@pytest.fixture
async def there() -> AsyncIterator[HttpCollector]:
    found = HttpCollector()
    await found.server.start_server()
    yield found
    await found.server.close()


async def test_a_collector_over_http_hears_of_metrics_and_traces(
    there: HttpCollector, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM))
    telemetry = (
        f'[telemetry]\notlp_endpoint = "{there.server.make_url("")}"\notlp_protocol = "http"\notlp_metrics = true\n'
        "otlp_metrics_seconds = 0.3\ntracing_enabled = true\ntrace_sample_rate = 1\n"
        'otlp_headers = { Authorization = "Bearer of-the-collector" }\n'
    )
    url = (await start_node(telemetry + provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json={**BODY, "stream": True}) as reply:
        assert reply.status == 200
        await reply.read()
    async with asyncio.timeout(60):
        while "chat m" not in there.spans or "llm_time_to_first_token_seconds" not in there.metrics:
            there.news.clear()
            await there.news.wait()
    (first,) = there.metrics["llm_time_to_first_token_seconds"].histogram.data_points
    assert (first.count, sum(first.bucket_counts), len(first.bucket_counts)) == (
        1,
        1,
        len(first.explicit_bounds) + 1,
    )
    assert {one.key: one.value.string_value for one in first.attributes} == {
        "provider": "primary",
        "model": "m",
    }
    calls = there.metrics["llm_api_calls"].sum
    assert calls.is_monotonic
    assert sum(point.as_double for point in calls.data_points) == 1
    assert there.metrics["queue_depth"].gauge.data_points
    assert set(there.headers) == {"Bearer of-the-collector"}


async def test_openmetrics_has_traces_as_examples(
    there: HttpCollector, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM))
    telemetry = (
        f'[telemetry]\notlp_endpoint = "{there.server.make_url("")}"\notlp_protocol = "http"\n'
        "tracing_enabled = true\ntrace_sample_rate = 1\n"
    )
    url = (await start_node(telemetry + provider(vendor))).listening[0].url
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    async with http.post(
        f"{url}/v1/chat/completions", json={**BODY, "stream": True}, headers=headers
    ) as reply:
        await reply.read()
    async with http.get(f"{url}/metrics", headers={"accept": "application/openmetrics-text"}) as reply:
        assert reply.content_type == "application/openmetrics-text"
        text = await reply.text()
    found = {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    }
    assert trace in found
    async with http.get(f"{url}/metrics") as reply:  # the plain text has no place for them
        assert trace not in await reply.text()


async def test_streams_spenders_and_budgets_have_figures(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM))
    toml = (
        '[[model_registry.models]]\nname = "m"\ntargets = ["primary/m"]\nprice = { input = 1000, output = 1000 }\n'
        "[budgets.tags]\nproject = { total = 50 }\n" + provider(vendor)
    )
    url = (await start_node(toml)).listening[0].url
    body = {**BODY, "model": "m", "stream": True, "metadata": {"tags": ["project"]}}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200, await reply.text()
        await reply.read()
    lines: dict[str, float] = {}
    async with asyncio.timeout(60):
        while not any(name.startswith("intellirouter_budget_left_usd{") for name in lines):
            async with http.get(f"{url}/metrics") as reply:
                rows = [line.rpartition(" ") for line in (await reply.text()).splitlines() if line[:1] != "#"]
            lines = {name: float(value) for name, _, value in rows}
            await asyncio.sleep(0.1)
    left = lines['intellirouter_budget_left_usd{period="total",who="tag:project"}']
    spent = next(value for name, value in lines.items() if name.startswith("intellirouter_spend_usd_total{"))
    assert 0 < spent < 50
    assert left == pytest.approx(50 - spent, abs=0.2)  # a share of it is leased
    assert lines['llm_time_to_first_token_seconds_count{model="m",provider="primary"}'] == 1
    assert lines['llm_time_between_tokens_seconds_count{model="m",provider="primary"}'] == 1
    assert any(name.startswith("intellirouter_build_info{") for name in lines)


def conforms(line: dict[str, Any]) -> None:
    """To what the specification asks."""
    assert tuple(line)[:3] == SPEC[:3]
    assert all(isinstance(line[name], str) and line[name] for name in SPEC)
    for name, value in line.get("labels", {}).items():
        assert not set(".*\\") & set(name)
        assert isinstance(value, (str, int, float, bool))


def test_log_lines_are_of_the_elastic_common_schema(tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    before, configured = logging.getLogger().handlers[:], structlog.get_config()
    try:
        logs.prepare(level="info", json=True, file=file, role="Router", ecs_form=True)()
        log = structlog.get_logger("tests.ecs")
        log.warning("state.away", reason="gone", **{"a.b": [1, 2]}, api_key="sk-planted")
        try:
            raise ValueError("wrong")
        except ValueError:
            log.exception("it.broke", trace_id="0af7651916cd43dd8448eb211c80319c")
        logging.getLogger("library").error("a line of a library")
        access = AccessLog(enabled=True, json=True, ecs_form=True)
        access._held.append(
            (1.0, {"role": "Router", "method": "GET", "status": 200, "ms": 1.5, "client": "127.0.0.1"})
        )
        access.flush()
    finally:
        for handler in logging.getLogger().handlers[:]:
            logging.getLogger().removeHandler(handler)
            handler.close()
        for handler in before:
            logging.getLogger().addHandler(handler)
        structlog.configure(**configured)
    text = file.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        conforms(line)
    away, broke, library, request = lines
    assert away["labels"] == {"reason": "gone", "a_b": "[1, 2]", "api_key": "***"}
    assert (away["message"], away["log.level"], away["log.logger"]) == ("state.away", "warning", "tests.ecs")
    assert away["service.name"] == "intellirouter-router"
    assert broke["trace.id"].startswith("0af7")
    assert "ValueError: wrong" in broke["error.stack_trace"]
    assert library["message"] == "a line of a library"
    assert (request["http.response.status_code"], request["event.duration"]) == (200, 1_500_000)
    assert request["event.dataset"] == "intellirouter.access"
    assert "sk-planted" not in text


@pytest.mark.parametrize("value", [None, object(), {"a": {"b": 1}}, "x" * 10, 3, True])
def test_any_field_fits_into_the_schema(value: object) -> None:
    conforms(ecs({"timestamp": "2026-11-20T00:00:00Z", "level": "info", "event": "e", "any": value}))
