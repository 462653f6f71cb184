"""Vendors who stream what was to be whole, send whole what was to be streamed, or cut characters in two."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

ASK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}


def event(**body: Any) -> bytes:
    return json.dumps(body).encode()


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event(id="x", object="chat.completion.chunk", created=1, model="m", choices=choices)


CHAT_STREAM = [
    chunk({"role": "assistant", "reasoning_content": "hm"}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({"tool_calls": [{"index": 0, **CALL}]}),
    chunk({}, "tool_calls"),
    event(id="x", object="chat.completion.chunk", created=1, model="m", choices=[], usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
    b"[DONE]",
]  # fmt: skip
CLAUDE_STREAM = [
    event(type="message_start", message={"id": "m", "model": "m", "usage": {"input_tokens": 3}}),
    event(type="content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
    event(type="content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
    event(type="content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"}),
    event(type="content_block_start", index=1, content_block={"type": "text", "text": ""}),
    event(type="content_block_delta", index=1, delta={"type": "text_delta", "text": "Hello"}),
    event(type="content_block_start", index=2, content_block={"type": "tool_use", "id": "c", "name": "f", "input": {}}),
    event(type="content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '{"x":1}'}),
    event(type="message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 4}),
    event(type="message_stop"),
]  # fmt: skip
GEMINI_STREAM = [
    event(responseId="x", modelVersion="m", candidates=[{"index": 0, "content": {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Hel"}]}}]),
    event(candidates=[{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "lo"}, {"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}}]}}], usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}),
]  # fmt: skip
STREAMED = {"openai_compatible": CHAT_STREAM, "anthropic": CLAUDE_STREAM, "google": GEMINI_STREAM}


@pytest.mark.parametrize("kind", STREAMED)
async def test_a_stream_that_nobody_asked_for_is_read_as_the_answer_it_is(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, kind: str
) -> None:
    vendor = await start_vendor(Play.sse(*STREAMED[kind]))
    url = (await start_node(provider(vendor, kind=kind))).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json={"model": "primary/m", **ASK}) as reply:
        answer = await reply.json()
        assert reply.status == 200, answer
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "Hello"
    assert choice["message"]["reasoning_content"] == "hm"
    assert [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in choice["message"]["tool_calls"]
    ] == [("c", "f", {"x": 1})]
    assert choice["finish_reason"] == "tool_calls"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (3, 4)
    assert len(vendor.received) == 1


async def test_a_stream_that_was_cut_is_no_answer(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*CHAT_STREAM[:3]))
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json={"model": "primary/m", **ASK}) as reply:
        assert reply.status == 502, await reply.text()


WHOLE: dict[str, dict[str, Any]] = {
    "openai_compatible": {"id": "x", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Hello", "tool_calls": [CALL]}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
    "anthropic": {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}], "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 4}},
    "google": {"responseId": "x", "modelVersion": "m", "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "Hello"}, {"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}}]}}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}},
    "openai_responses": {"id": "resp_x", "object": "response", "status": "completed", "model": "m", "output": [{"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}, {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": '{"x":1}'}], "usage": {"input_tokens": 3, "output_tokens": 4}},
}  # fmt: skip


@pytest.mark.parametrize("front", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("kind", WHOLE)
async def test_a_whole_answer_in_place_of_a_stream_is_streamed(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, kind: str, front: str
) -> None:
    vendor = await start_vendor(Play.json(WHOLE[kind]))
    url = (await start_node(provider(vendor, kind=kind))).listening[0].url
    body = {"model": "primary/m", "stream": True, "stream_options": {"include_usage": True}, **ASK}
    if front == "/v1/messages":
        del body["stream_options"]
    async with http.post(f"{url}{front}", json=body) as reply:
        text = await reply.text()
        assert reply.status == 200, text
    assert len(vendor.received) == 1
    told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert "Hello" in text
    if front == "/v1/messages":
        assert told[-2]["delta"]["stop_reason"] == "tool_use"
        assert told[-2]["usage"]["output_tokens"] == 4
        assert [one["content_block"]["name"] for one in told if one.get("content_block", {}).get("type") == "tool_use"] == ["f"]  # fmt: skip
    else:
        assert text.rstrip().endswith("[DONE]")
        assert told[-1]["usage"]["completion_tokens"] == 4
        assert any(one["choices"][0]["finish_reason"] == "tool_calls" for one in told if one["choices"])


async def test_speech_in_place_of_a_stream_is_streamed(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    spoken = {"id": "a", "data": "QUJD", "transcript": "Hello", "expires_at": 5}
    message = {"role": "assistant", "content": None, "audio": spoken}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    vendor = await start_vendor(Play.json({"id": "x", "model": "m", "choices": [choice]}))
    url = (await start_node(provider(vendor))).listening[0].url
    body = {"model": "primary/m", "stream": True, "modalities": ["text", "audio"], **ASK}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        text = await reply.text()
        assert reply.status == 200, text
    told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert [a for one in told for c in one["choices"] if (a := c["delta"].get("audio"))] == [spoken]


async def test_an_error_in_place_of_a_stream_is_one(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json({"error": {"message": "Too many requests", "code": 429}}))
    url = (await start_node(provider(vendor))).listening[0].url
    body = {"model": "primary/m", "stream": True, **ASK}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 429, await reply.text()


async def test_a_character_cut_in_two_is_whole_again(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    pieces = [r"a\ud83d", r"\ude00b", r"\ud83d", r"\ud83d\ude00", r"c\ude00"]
    events = [chunk({"content": "PIECE"}).replace(b"PIECE", piece.encode()) for piece in pieces]
    vendor = await start_vendor(Play.sse(*events, chunk({}, "stop"), b"[DONE]"))
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/messages", json={"model": "primary/m", "stream": True, **ASK}) as reply:
        lines = (await reply.text()).splitlines()
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    said = "".join(one["delta"]["text"] for one in told if one["type"] == "content_block_delta")
    assert said == "a😀b\ufffd😀c\ufffd"


async def test_half_a_character_costs_no_whole_answer(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """As at the end of an answer that was cut at its last token."""
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": "smile \ud83d\ude00, and half of one: \ud83d"}
    whole |= {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}
    vendor = await start_vendor(Play.json(whole))  # json.dumps writes halves as they are
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/messages", json={"model": "primary/m", **ASK}) as reply:
        told = await reply.json()
    assert reply.status == 200, told
    assert told["content"][0]["text"] == "smile \U0001f600, and half of one: \ufffd"


async def test_a_call_of_no_name_after_the_first_words_does_not_end_well(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    nameless = {"index": 0, "id": "c", "type": "function", "function": {"arguments": "{}"}}
    vendor = await start_vendor(
        Play.sse(chunk({"content": "Hi"}), 0.2, chunk({"tool_calls": [nameless]}), b"[DONE]")
    )
    url = (await start_node(provider(vendor))).listening[0].url
    for path, good in (("/v1/chat/completions", "[DONE]"), ("/v1/messages", "message_stop")):
        body = {"model": "primary/m", "stream": True, **ASK}
        async with http.post(f"{url}{path}", json=body) as reply:
            text = await reply.text()
        assert reply.status == 200
        assert "a tool without saying which" in text
        assert good not in text
