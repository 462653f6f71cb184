"""Many values are never read, or made into something, at a stretch: a caller's, and those of a hostile provider."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import aiohttp
import msgspec
import pytest

from intellirouter.chat import foreign
from intellirouter.chat.delta import Finish, Start, ToolCallArguments, ToolCallStart
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.ollama.format import FORMAT as OLLAMA
from intellirouter.errors import UpstreamProtocolError
from intellirouter.providers import anthropic, google, mistral, ollama, openai, responses
from intellirouter.providers.adapter import HttpResponse
from tests.chat.round_trips.test_round_trips import FORMATS
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor
from tests.servers.vendor import Play

USER = [{"role": "user", "content": "hi"}]
TURNS = [{"role": "user" if n % 2 else "assistant", "content": "x"} for n in range(12_001)]
CALLS = [
    item
    for n in range(4_000)
    for item in (
        {"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": f"c{n}", "output": "x"},
    )
]
WIDE = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(18_000)}}
LONG: dict[str, tuple[str, dict[str, Any]]] = {
    "turns": ("/v1/chat/completions", {"messages": TURNS}),
    "calls": ("/v1/responses", {"input": CALLS}),
    "a schema": ("/v1/messages", {"messages": USER, "tools": [{"name": "f", "input_schema": WIDE}], "max_tokens": 9}),
    "turns of Ollama's": ("/api/chat", {"messages": TURNS, "stream": False}),
}  # fmt: skip


async def test_what_is_long_is_made_beside_the_event_loop(
    start_vendor: StartVendor, start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    """Of all that these requests cost, the loop does little at a stretch, however fast the machine is."""
    vendor = await start_vendor(Play.json(fault_vendor.whole("ok")))
    guard = '[[guards]]\nname = "g"\nkind = "keywords"\nwords = ["coal"]\n'
    url = (await start_node(provider(vendor) + guard)).listening[0].url
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    for name, (path, body) in LONG.items():
        sent = msgspec.json.encode({"model": "primary/m", **body})
        longest, before = 0.0, time.process_time() - time.thread_time()
        beating = asyncio.create_task(beat())
        async with http.post(url + path, data=sent, headers={"content-type": "application/json"}) as reply:
            assert reply.status == 200, await reply.text()
        beating.cancel()
        beside = time.process_time() - time.thread_time() - before
        assert longest < beside / 2, (name, longest, beside)


PARSERS = {
    "openai_chat": openai.new_stream,
    "openai_responses": responses.new_stream,
    "anthropic_messages": anthropic.ADAPTER.new_stream,
    "gemini": google.ADAPTER.new_stream,
    "ollama": ollama.ADAPTER.new_stream,
}


def seconds(name: str, calls: int) -> float:
    """What it takes to write so many parallel calls of tools as a stream, and to read a stream of as many."""
    deltas = [Start("x", "m", 1)]
    deltas += [ToolCallStart(n, f"c{n}", f"f{n}", block=n + 9) for n in range(calls)]  # type: ignore[misc]
    deltas += [ToolCallArguments(n, "{}", n + 9) for n in range(calls)]  # type: ignore[misc]
    deltas += [Finish("tool_calls")]  # type: ignore[list-item]
    gc.disable()  # of a whole session of tests, which would take longer than all of this
    began = time.thread_time()
    encoder = FORMATS[name].new_encoder(ChatRequest(model="m", messages=()))
    data = encoder.encode(tuple(deltas)) + encoder.finish()
    if name in PARSERS:
        PARSERS[name]().feed(data)
    took = time.thread_time() - began
    gc.enable()
    return took


@pytest.mark.parametrize("name", FORMATS)
def test_parallel_calls_of_a_stream_cost_each_the_same(name: str) -> None:
    few, many = (min(seconds(name, calls) for _ in range(2)) for calls in (300, 4_800))
    assert many < 60 * few, (few, many)  # 16 times as many; 256 times where each looks at all


MUCH = b",".join([b"[]"] * (foreign.MAX_VALUES + 2))
ANSWERS = {
    "OpenAI's": (openai.ADAPTER, b'{"choices":[{"message":{}}],"x":[%b]}'),
    "Mistral's": (mistral.ADAPTER, b'{"choices":[{"message":{}}],"x":[%b]}'),
    "Responses": (responses.ADAPTER, b'{"output":[%b]}'),
    "Google's": (google.ADAPTER, b'{"candidates":[%b]}'),
    "Ollama's": (ollama.ADAPTER, b'{"message":{"x":[%b]}}'),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_providers_values_have_a_bound(name: str) -> None:
    adapter, form = ANSWERS[name]
    with pytest.raises(UpstreamProtocolError, match="values"):
        (adapter.peek_chat or adapter.parse_chat)(HttpResponse(200, {}, form % MUCH))
    event = form % MUCH
    with pytest.raises(UpstreamProtocolError, match="values"):
        adapter.new_stream().feed(event + b"\n" if adapter.wire is OLLAMA else b"data: %b\n\n" % event)


def test_each_vector_has_a_length() -> None:
    body = b'{"data":[{"index":0,"embedding":[%b]}],"model":"m"}' % MUCH
    for parse, form in (
        (openai.parse_embeddings, body),
        (google.parse_embeddings, b'{"embeddings":[{"values":[%b]}]}' % MUCH),
        (ollama.parse_embeddings, b'{"embeddings":[[%b]]}' % MUCH),
    ):
        with pytest.raises(UpstreamProtocolError, match="longer than"):
            parse(HttpResponse(200, {}, form))
