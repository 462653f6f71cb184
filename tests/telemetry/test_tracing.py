"""Traces as a collector receives them from running nodes."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.telemetry.tracing.otlp import EXPORT_SECONDS, Exporter
from intellirouter.telemetry.tracing.span import PassedAlong, current, outgoing, step, traceparent_of, within
from tests.conftest import StartNode, StartVendor, provider
from tests.e2e.test_nodes import ingest
from tests.roles.chain_engine.test_api import ASK, SAID, Client, auth
from tests.roles.router.test_chat import ANSWER, BODY, STREAM
from tests.servers.collector import Collector, collector
from tests.servers.minilm import minilm
from tests.servers.ports import free_port
from tests.servers.process import node_process
from tests.servers.vendor import Play

CHAT = "POST /v1/chat/completions"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def traced(there: Collector, rate: float = 1.0) -> str:
    return f'[telemetry]\ntracing_enabled = true\ntrace_sample_rate = {rate}\notlp_endpoint = "{there.url}"\n'


async def asked(http: aiohttp.ClientSession, url: str, body: Any = BODY, **headers: str) -> str:
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        return await reply.text()


async def test_a_request_and_its_calls_are_one_trace(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    broken = await start_vendor(Play.json({"error": {"message": "planted-words"}}, 500))
    vendor = await start_vendor(Play.json(ANSWER))
    models = '[[model_registry.models]]\nname = "both"\ntargets = ["broken/m", "primary/m"]\nstrategy = "fallback"\n'
    async with collector() as there:
        node = await start_node(traced(there) + provider(broken, name="broken") + provider(vendor) + models)
        words = {"role": "user", "content": "planted-prompt"}
        await asked(
            http, node.listening[0].url, {"model": "both", "messages": [words]}, **{"x-request-id": "r1"}
        )
        spans = await there.until(CHAT, "chat m")
        request = there.one(CHAT)
        calls = [span for span in spans if span.name == "chat m"]
        *failed, answered = sorted(calls, key=lambda span: span.facts["intellirouter.attempt"])
    assert (request.service, request.kind, request.parent) == ("intellirouter-router", "server", "")
    assert request.facts["http.response.status_code"] == 200
    assert request.facts["intellirouter.request_id"] == "r1"
    assert request.facts["intellirouter.attempts"] == len(calls)
    for call in calls:
        assert (call.kind, call.trace, call.parent) == ("client", request.trace, request.id)
        assert call.facts["gen_ai.request.model"] == "m"
    assert failed
    for call in failed:
        assert call.failed
        assert call.facts["error.type"] == "upstream_unavailable"
        assert call.facts["intellirouter.provider"] == "broken"
    assert not answered.failed
    usage = ANSWER["usage"]
    assert answered.facts["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert answered.facts["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert answered.facts["server.port"] == int(vendor.url.rpartition(":")[2])
    assert answered.seconds <= request.seconds
    for planted in (b"planted", b"sk-secret"):
        assert planted not in there.raw


async def test_a_call_that_nobody_waits_for_any_more_is_told(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    slow, quick = await start_vendor(Play(before="hang")), await start_vendor(Play.json(ANSWER))
    models = (
        "[router]\nhedge_whole_after_seconds = 0.05\n"
        '[[model_registry.models]]\nname = "both"\ntargets = ["slow/m", "primary/m"]\nstrategy = "fallback"\n'
    )
    async with collector() as there:
        node = await start_node(traced(there) + provider(slow, name="slow") + provider(quick) + models)
        await asked(http, node.listening[0].url, {**BODY, "model": "both"})
        spans = await there.until(CHAT, "chat m")
    errors = {
        span.facts["intellirouter.provider"]: span.facts.get("error.type")
        for span in spans
        if span.name == "chat m"
    }
    assert errors == {"slow": "cancelled", "primary": None}


@pytest.mark.parametrize(
    ("end", "error"), [("clean", ""), ("reset", "upstream_unavailable")], ids=["whole", "broken"]
)
async def test_a_stream_is_a_call_until_its_end(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, end: Any, error: str
) -> None:
    events = STREAM if end == "clean" else STREAM[:2]
    vendor = await start_vendor(Play.sse(*events, end=end))
    async with collector() as there:
        node = await start_node(traced(there) + provider(vendor) + "[router]\nmid_stream = 'error'\n")
        await asked(http, node.listening[0].url, {**BODY, "stream": True})
        await there.until(CHAT, "chat m")
        call = there.one("chat m")
    assert call.facts.get("error.type", "") == error
    assert 0 < call.facts["gen_ai.response.time_to_first_chunk"] <= call.seconds


@pytest.mark.parametrize(
    ("traceparent", "recorded"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", False),
        ("00-nonsense", False),
        ("", False),
    ],
)
async def test_the_client_s_trace_goes_on_and_else_the_rate_decides(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    traceparent: str,
    recorded: bool,
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    async with collector() as there:
        node = await start_node(traced(there, rate=0.0) + provider(vendor))
        url = node.listening[0].url
        await asked(http, url, traceparent=traceparent)
        await asked(
            http, url, {**BODY, "model": "none"}, traceparent=f"00-{'1' * 32}-{PARENT}-01"
        )  # the last
        await there.until(CHAT)
    spans = [span for span in there.spans if span.trace == TRACE and span.name == CHAT]
    assert [span.parent for span in spans] == ([PARENT] if recorded else [])
    assert {span.trace for span in there.spans} <= {TRACE, "1" * 32}


async def test_a_trace_goes_through_the_roles(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor, trust = (
        await start_vendor(Play.json(ANSWER)),
        '[ipc.security]\nenabled = true\ntoken = "a-token-long-enough"\n',
    )
    grpc_port = free_port()
    async with collector() as there:
        personas = await start_node(
            traced(there) + trust + f"[server]\ngrpc_port = {grpc_port}\n", role="PersonaLayer"
        )
        by_http = f'[ipc]\npersona_layer_endpoint = "{personas.listening[0].url}"\n'
        by_grpc = f'[ipc]\nprotocol = "grpc"\npersona_layer_endpoint = "http://127.0.0.1:{grpc_port}"\n'
        for ipc, served in (
            (by_http, "POST /v1/personas/{name}/render"),
            (by_grpc, "intellirouter.peers.v1.PersonaLayer/Resolve"),
        ):
            there.spans.clear()
            node = await start_node(traced(there) + trust + ipc + provider(vendor))
            text = await asked(http, node.listening[0].url, {**BODY, "persona": "analyst"})
            assert "choices" in text
            await there.until(CHAT, "persona", "PersonaLayer", "chat m", served)
            request, persona, call, other = (
                there.one(name) for name in (CHAT, "persona", "PersonaLayer", served)
            )
            assert other.service == "intellirouter-personalayer"
            assert [persona.parent, call.parent, other.parent] == [request.id, persona.id, call.id]
            assert {span.trace for span in there.spans} == {request.trace}


async def test_a_run_is_one_trace(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(SAID))
    async with collector() as there:
        node = await start_node(traced(there) + auth(ann="a") + provider(vendor), role="All")
        engine = next(each for each in node.listening if each.role == "ChainEngine")
        ask = Client(http, engine.url)
        await ask("PUT", "/v1/chains/ask", {"source": ASK})
        _, run = await ask("POST", "/v1/chains/ask/runs", {"input": {"question": "planted-question"}})
        await there.until("chain ask", "step llm", "POST /v1/chains/{name}/runs")
        root, taken = there.one("chain ask"), there.one("step llm")
        started = there.one("POST /v1/chains/{name}/runs")
    assert (taken.trace, taken.parent, root.parent) == (root.trace, root.id, "")
    assert started.facts["intellirouter.run"] == run["id"] == root.facts["intellirouter.run"]
    assert root.facts["gen_ai.workflow.name"] == "ask"
    assert root.seconds >= taken.seconds
    assert b"planted" not in there.raw


async def test_retrieval_and_ingestion(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    async with collector() as there:
        rag = f'[rag]\nembedding_model_path = "{minilm()}"\n'
        node = await start_node(traced(there) + rag, role="RagManager")
        url = node.listening[0].url
        await ingest(http, url, {})
        await there.until("ingest")
        asked = {"collections": ["kb"], "query": "planted-question"}
        async with http.post(f"{url}/rag/v1/retrieve", json=asked) as reply:
            assert (await reply.json())["passages"]
        await there.until("POST /rag/v1/retrieve")
        request, found = there.one("POST /rag/v1/retrieve"), there.one("retrieve")
        parts = [there.one(name) for name in ("embed the question", "look up vectors")]
    assert found.parent == request.id
    assert {part.parent for part in parts} == {found.id}
    assert found.facts["intellirouter.passages"] == 1
    assert there.one("ingest").trace != request.trace
    assert b"planted" not in there.raw


async def test_parts_of_one_work_find_one_another_on_every_node() -> None:
    async with collector() as there:
        for name in ("one", "two"):
            exporter = Exporter(there.url, name, "1", 0.5)
            tracer = exporter.of("ChainEngine")
            for work in range(40):
                tracer.part_of(f"run_{work}", "part").end()
                tracer.whole(f"run_{work}", "whole", 1.5, "failed")
            await exporter.aclose()
    wholes = [span for span in there.spans if span.name == "whole"]
    parts = [span for span in there.spans if span.name == "part"]
    assert 10 < len(wholes) < 70  # of 80; a half is recorded
    assert sorted((span.trace, span.id) for span in wholes) == sorted(
        (span.trace, span.parent) for span in parts
    )
    assert len({span.trace for span in wholes}) * 2 == len(wholes)  # both nodes decide alike
    assert all(span.failed and abs(span.seconds - 1.5) < 0.1 for span in wholes)


async def test_a_collector_that_is_away_holds_nothing_up(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    away = f'[telemetry]\ntracing_enabled = true\ntrace_sample_rate = 1\notlp_endpoint = "http://127.0.0.1:{free_port()}"\n'
    node = await start_node(away + provider(vendor))
    for _ in range(20):
        assert "choices" in await asked(http, node.listening[0].url)
    exporter = Exporter(f"http://127.0.0.1:{free_port()}", "n", "1", 1.0)
    for _ in range(3_000):  # more than the queue holds
        exporter.of("Router").request(None, lambda: ("x", {})).end()
    began = time.monotonic()
    await exporter.aclose()
    assert time.monotonic() - began < 2 * EXPORT_SECONDS


async def test_a_clock_that_is_set_back_bends_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collector() as there:
        exporter = Exporter(there.url, "n", "1", 1.0)
        whole = exporter.of("Router").request(None, lambda: ("whole", {}))
        before = time.time_ns()
        for clock in ("time.time_ns", "opentelemetry.sdk.trace.time_ns"):
            monkeypatch.setattr(clock, lambda: before - 3_600 * 10**9)
        part = whole.child("part")
        part.end()
        whole.end()
        monkeypatch.undo()
        await exporter.aclose()
    assert 0 <= there.one("part").seconds <= there.one("whole").seconds < 60


async def test_a_step_ends_with_the_code_of_what_it_failed_with() -> None:
    class Refused(Exception):
        code = "refused"

    async with collector() as there:
        exporter = Exporter(there.url, "n", "1", 1.0)
        with within(exporter.of("Router").request(None, lambda: ("request", {}))):
            assert outgoing("given") != "given"
            for error in (Refused("planted"), ValueError("planted"), asyncio.CancelledError()):
                with pytest.raises(type(error)), step(type(error).__name__):
                    raise error
        assert current() is None
        await exporter.aclose()
    assert {span.name: span.facts.get("error.type") for span in there.spans} == {
        "Refused": "refused",
        "ValueError": "ValueError",
        "CancelledError": "CancelledError",
        "request": None,
    }
    assert b"planted" not in there.raw


def test_only_a_trace_context_goes_on() -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert traceparent_of({"traceparent": good}) == good
    for bad in ("", good.upper(), good + "-x", "ü" * 55, good.replace("-", "_")):
        assert traceparent_of({"traceparent": bad}) is None
    assert traceparent_of({}) is None


def test_what_is_not_recorded_is_passed_along() -> None:
    with step("nothing") as span:
        assert span is None
    assert outgoing("given") == "given"
    with within(PassedAlong(f"00-{TRACE}-{PARENT}-00")), step("part") as span:
        assert span is None
        assert outgoing(None) == f"00-{TRACE}-{PARENT}-00"
    with within(PassedAlong()):  # the next role would else begin a trace of its own
        assert (outgoing(None) or "").endswith("-00")


async def test_the_access_log_names_the_trace(
    start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    async with collector() as there:
        file = tmp_path / "node.toml"
        file.write_text(
            traced(there) + provider(vendor) + f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path}"\n'
        )
        async with node_process("--role", "Router", "--config", str(file)) as node:
            await asked(http, await node.url())
            line = await node.event("request")
            node.signal(signal.SIGTERM)
            await node.wait()  # what waited is sent before the process ends
    assert line["trace_id"] == there.one(CHAT).trace


async def test_a_collector_that_goes_and_comes_is_told_once(
    start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor, port = await start_vendor(Play.json(ANSWER)), free_port()
    file = tmp_path / "node.toml"
    telemetry = f'[telemetry]\ntracing_enabled = true\ntrace_sample_rate = 1\notlp_endpoint = "http://127.0.0.1:{port}"\n'
    file.write_text(telemetry + provider(vendor) + f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path}"\n')
    async with node_process("--role", "Router", "--config", str(file)) as node:
        url = await node.url()
        await asked(http, url)
        await node.event("traces.away")
        async with collector(port) as there, asyncio.timeout(30):
            while not there.spans:
                await asked(http, url)
                await asyncio.sleep(0.1)
            back = await node.event("traces.back")
        node.signal(signal.SIGTERM)
        await node.wait()
    assert back["lost_spans"] >= 2
    assert back["collector"] == f"127.0.0.1:{port}"
    said = [line.get("event") for line in node.lines if "opentelemetry" in str(line.get("logger"))]
    assert said == []
