"""Signed and redacted thoughts of Anthropic come back unchanged after a turn through a client of another dialect."""

from __future__ import annotations

import json
from typing import Any

import openai.types.chat as openai_types
import pytest

from intellirouter.chat.anthropic_messages.format import FORMAT as ANTHROPIC
from intellirouter.chat.delta import ThinkingDelta
from intellirouter.chat.openai_chat.format import FORMAT as OPENAI
from intellirouter.providers import anthropic, openai

BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "First.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "enp6"},
    {"type": "text", "text": "Let me look."},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
]
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": BLOCKS,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7},
}


def streamed() -> bytes:
    """`ANSWER` as Anthropic streams it."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**ANSWER, "content": []}}]
    for index, block in enumerate(BLOCKS):
        match block["type"]:
            case "thinking":
                empty = {**block, "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": block["thinking"]},
                    {"type": "signature_delta", "signature": block["signature"]},
                ]
            case "text":
                empty, deltas = {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
            case "tool_use":
                written = json.dumps(block["input"])
                empty, deltas = (
                    {**block, "input": {}},
                    [{"type": "input_json_delta", "partial_json": written}],
                )
            case _:
                empty, deltas = block, []
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    stop = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": ANSWER["usage"]}
    return b"".join(
        b"data: %b\n\n" % json.dumps(e).encode() for e in [*events, stop, {"type": "message_stop"}]
    )


def whole_turn() -> dict[str, Any]:
    answer = ANTHROPIC.decode_response(json.dumps(ANSWER).encode())
    body = json.loads(OPENAI.encode_response(answer))
    openai_types.ChatCompletion.model_validate(body)
    message: dict[str, Any] = body["choices"][0]["message"]
    return message


def chunks() -> bytes:
    """`ANSWER` as a client of chat completions is streamed it."""
    request = OPENAI.decode_request({"model": "m", "messages": [{"role": "user", "content": "x"}]}, {})
    encoder = OPENAI.new_encoder(request)
    events = anthropic.new_stream().feed(streamed())
    return b"".join(encoder.encode(event.deltas) for event in events) + encoder.finish()


def streamed_turn() -> dict[str, Any]:
    """What a client makes of the chunks: fields that are strings grow, arrays are gathered."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": [], "thinking_blocks": []}
    for line in chunks().splitlines():
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["thinking_blocks"] += delta.get("thinking_blocks") or []
            for call in delta.get("tool_calls") or []:
                if call.get("id"):
                    message["tool_calls"].append({**call, "function": dict(call["function"])})
                else:
                    held = message["tool_calls"][call["index"]]["function"]
                    held["arguments"] += call["function"]["arguments"]
    return message


@pytest.mark.parametrize("turn", [whole_turn, streamed_turn])
def test_thoughts_survive_a_turn_through_chat_completions(turn: Any) -> None:
    results = [{"role": "tool", "tool_call_id": f"toolu_{i}", "content": "ok"} for i in (1, 2)]
    messages = [{"role": "user", "content": "x"}, turn(), *results]
    request = OPENAI.decode_request({"model": "m", "messages": messages}, {})
    notes: list[str] = []
    written = ANTHROPIC.encode_request(request.routed(model="claude-x"), notes)
    assert written["messages"][1]["content"] == BLOCKS
    assert notes == []


def test_thoughts_told_in_words_and_as_blocks_are_read_once() -> None:
    deltas = [delta for event in openai.new_stream().feed(chunks()) for delta in event.deltas]
    thoughts = [delta for delta in deltas if isinstance(delta, ThinkingDelta)]
    assert "".join(delta.text for delta in thoughts) == "First."
    assert [delta.signature for delta in thoughts if delta.signature] == ["c2ln"]
