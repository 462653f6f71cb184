"""Values no vendor writes by intent: each is understood or told as the vendor's fault, never a failure of the node."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

HI = [{"role": "user", "content": "Hi"}]
CHAT, OLD, RESPONSES, GEMINI = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1beta/models/primary/m:generateContent",
)
ASKS: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HI},
    OLD: {"prompt": "Hi", "logprobs": 1},
    RESPONSES: {"input": "Hi"},
    GEMINI: {"contents": [{"parts": [{"text": "Hi"}]}]},
}
SAYS: dict[str, Any] = {"role": "assistant", "content": "Hello"}


def answer(message: dict[str, Any] | None = None, logprobs: Any = None, **more: Any) -> Play:
    choice = {
        "index": 0,
        "message": {**SAYS, **(message or {})},
        "finish_reason": "stop",
        "logprobs": logprobs,
    }
    return Play.json({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], **more})


def plain(words: str) -> Play:
    return Play([words.encode()], 200, {"content-type": "application/json"})


ODD = {
    "audio of numbers": answer({"audio": {"data": 5, "transcript": 5, "id": 5}}),
    "entries that are a number": answer(logprobs={"content": 5}),
    "entries that are numbers": answer(logprobs={"content": [5, {"token": 5, "top_logprobs": 5}]}),
    "others that are none": answer(
        logprobs={"content": [{"token": "a", "top_logprobs": [5, {"token": []}]}]}
    ),
    "no number beside half a character": plain('{"id":"\\ud800","created":Infinity,"choices":[]}'),
    "one beyond any": plain('{"id":"\\ud800","created":1e400,"choices":[]}'),
}


@pytest.mark.parametrize("path", ASKS)
async def test_an_odd_answer_is_understood_or_the_vendors_fault(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, path: str
) -> None:
    now: list[Play] = []
    vendor = await start_vendor(lambda _: now[-1])
    url = (await start_node(provider(vendor))).listening[0].url
    for what, play in ODD.items():
        now.append(play)
        async with http.post(url + path, json={"model": "primary/m", **ASKS[path]}) as reply:
            assert reply.status in (200, 502), (what, await reply.text())


async def test_an_odd_stream_is_understood(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    odd: list[Any] = ["x", [], {"google": "x"}]
    for extra in odd:
        one = {**call, "extra_content": extra}
        delta = {"choices": [{"index": 0, "delta": {"tool_calls": [one]}, "finish_reason": "tool_calls"}]}
        sent = f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n".encode()
        vendor = await start_vendor(Play([sent], 200, {"content-type": "text/event-stream"}))
        url = (await start_node(provider(vendor))).listening[0].url
        ask = {"model": "primary/m", "messages": HI, "stream": True, "max_tokens": 9}
        async with http.post(f"{url}/v1/messages", json=ask) as reply:
            assert '"name":"f"' in await reply.text()


@pytest.mark.parametrize("vector", [{"a": 1}, [10**400], [1e300]])
async def test_an_odd_embedding_is_the_vendors_fault(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, vector: Any
) -> None:
    found = {"object": "list", "model": "m", "data": [{"index": 0, "embedding": vector}]}
    vendor = await start_vendor(Play.json(found))
    url = (await start_node(provider(vendor))).listening[0].url
    ask = {"model": "primary/m", "input": "x", "encoding_format": "base64"}
    async with http.post(f"{url}/v1/embeddings", json=ask) as reply:
        assert reply.status in (200, 502), await reply.text()


async def test_a_date_in_no_year_is_none(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    headers = {"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT", "content-type": "application/json"}
    vendor = await start_vendor(Play([b'{"error":{"message":"slow down"}}'], 429, headers))
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(url + CHAT, json={"model": "primary/m", "messages": HI}) as reply:
        assert reply.status == 429, await reply.text()
