"""A success with nothing in it is a failure: another target answers, nobody keeps it, and alone it is an error."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play

CHAT = '[[model_registry.models]]\nname = "chat"\nstrategy = "fallback"\ntargets = ["primary/m", "two/m"]\n'
CACHE = "[cache]\nenabled = true\n"


def completion(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": list(choices),
        **more,
    }


def choice(reason: str | None, **message: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}


def candidate(reason: str, *parts: dict[str, Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)} if parts else {}
    return {"candidates": [{"index": 0, "finishReason": reason, "content": content}], "modelVersion": "m"}


def event(**body: Any) -> bytes:
    return json.dumps(body).encode()


NAMELESS = {"index": 0, "id": "c", "type": "function", "function": {"arguments": "{}"}}
RESPONSE = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": []}
WHOLE: list[tuple[str, str, dict[str, Any]]] = [
    ("no choices", "openai_compatible", completion()),
    ("an empty choice", "openai_compatible", completion(choice("stop", content=""))),
    ("a choice without content", "openai", completion(choice("stop", content=None))),
    ("calls that are none", "openai", completion(choice("tool_calls", content=None, tool_calls=[]))),
    ("a call of no name", "openai", completion(choice("tool_calls", content=None, tool_calls=[NAMELESS]))),
    ("a call of no name, claude", "anthropic", {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "tool_use", "id": "c", "name": "", "input": {}}], "stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 5}}),
    ("a call of no name, google", "google", candidate("STOP", {"functionCall": {"args": {}}})),
    ("an error for a reason", "openrouter", completion(choice("error", content=""))),
    ("an error after some words", "openrouter", completion(choice("error", content="I was"))),
    ("mistral, no choices", "mistral", completion()),
    ("responses, no output", "openai_responses", RESPONSE),
    ("a malformed call", "google", candidate("MALFORMED_FUNCTION_CALL")),
    ("an unexpected call", "google", candidate("UNEXPECTED_TOOL_CALL")),
    ("a missing signature", "google", candidate("MISSING_THOUGHT_SIGNATURE")),
    ("no parts", "google", candidate("STOP")),
    ("no candidates", "google", {"candidates": [], "usageMetadata": {"promptTokenCount": 5}}),
    ("ollama, a model was loaded", "ollama", {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "load"}),
    ("claude, nothing said and counted", "anthropic", {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 0}}),
]  # fmt: skip
STREAMED: list[tuple[str, str, Play]] = [
    ("the end alone", "openai_compatible", Play.sse(b"[DONE]")),
    ("a role and the end", "openai", Play.sse(faults.chunk({"role": "assistant", "content": ""}), faults.chunk({}, "stop"), b"[DONE]")),
    ("a call of no name", "openai_compatible", Play.sse(faults.chunk({"tool_calls": [NAMELESS]}), b"[DONE]")),
    ("a call of no name, and its end", "openai", Play.sse(faults.chunk({"tool_calls": [NAMELESS]}), faults.chunk({}, "tool_calls"), b"[DONE]")),
    ("an error for a reason", "openrouter", Play.sse(faults.chunk({}, "error"), b"[DONE]")),
    ("responses without output", "openai_responses", Play.sse(event(type="response.created", response=RESPONSE), event(type="response.completed", response=RESPONSE))),
    ("a malformed call", "google", Play.sse(event(**candidate("MALFORMED_FUNCTION_CALL")))),
    ("no parts", "google", Play.sse(event(**candidate("STOP")))),
    ("ollama, the last line alone", "ollama", Play([event(model="m", message={"role": "assistant", "content": ""}, done=True, done_reason="load") + b"\n"])),
    ("claude, no block", "anthropic", Play.sse(event(type="message_start", message={"id": "m", "model": "m", "usage": {"input_tokens": 5, "output_tokens": 0}}), event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 0}), event(type="message_stop"))),
]  # fmt: skip
FRONTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    "messages": ("/v1/messages", {"max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}),
    "responses": ("/v1/responses", {"input": "Hi", "store": False}),
}


@pytest.mark.parametrize("front", FRONTS)
async def test_another_target_answers_instead(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, front: str
) -> None:
    path, body = FRONTS[front]
    for case, kind, play in [
        *((case, kind, Play.json(answer)) for case, kind, answer in WHOLE),
        *STREAMED,
    ]:
        one, two = await start_vendor(play), await start_vendor(faults.healthy)
        node = await start_node(provider(one, kind=kind) + provider(two, name="two") + CHAT + CACHE)
        stream = any(case is name for name, _, _ in STREAMED) and play in [entry[2] for entry in STREAMED]
        async with http.post(
            f"{node.listening[0].url}{path}", json={"model": "chat", "stream": stream, **body}
        ) as reply:
            text = await reply.text()
            assert reply.status == 200, (case, text)
            assert reply.headers["x-intellirouter-provider"] == "two", (case, text)
            assert "word59" in text, case


async def test_alone_it_is_an_error_and_kept_by_nobody(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    for case, kind, answer in WHOLE:
        vendor = await start_vendor(Play.json(answer))
        node = await start_node(provider(vendor, kind=kind) + CACHE)
        body = {"model": "primary/m", **FRONTS["chat"][1]}
        for _ in range(2):
            async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
                assert reply.status == 502, (case, await reply.text())
                assert (await reply.json())["error"]["code"] == "upstream_protocol_error", case
        assert len(vendor.received) == 4, f"{case}: asked twice each time"


ANSWERS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("the limit was reached", "openai", completion(choice("length", content="")), {}),
    ("a filter", "openai", completion(choice("content_filter", content="")), {}),
    ("a stop sequence came first", "openai", completion(choice("stop", content="")), {"stop": ["X"]}),
    ("the model was asked and said nothing", "openai", completion(choice("stop", content=""), usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}), {}),
    ("a call", "openai", completion(choice("tool_calls", content=None, tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}])), {}),
    ("a call that nobody offered a tool for", "openai_compatible", completion(choice("function_call_filter: UNEXPECTED_TOOL_CALL", content=None, tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}])), {}),
    ("a refusal", "openai", completion(choice("stop", content=None, refusal="No.")), {}),
    ("safety", "google", candidate("SAFETY"), {}),
    ("the limit, by thinking", "google", candidate("MAX_TOKENS"), {}),
]  # fmt: skip


async def test_an_answer_that_has_its_reason_is_one(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    for case, kind, answer, more in ANSWERS:
        node = await start_node(provider(await start_vendor(Play.json(answer)), kind=kind))
        body = {"model": "primary/m", **FRONTS["chat"][1], **more}
        async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, (case, await reply.text())


async def test_a_stream_that_fails_after_its_first_words_does_not_end_well(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(
        Play.sse(event(**candidate("", {"text": "I call "})), event(**candidate("MALFORMED_FUNCTION_CALL")))
    )
    more = '[router]\nmid_stream = "error"\n'
    node = await start_node(provider(vendor, kind="google") + more)
    body = {"model": "primary/m", "stream": True, **FRONTS["chat"][1]}
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
        text = await reply.text()
    assert "MALFORMED_FUNCTION_CALL" in text
    assert "[DONE]" not in text
