"""Vendors and clients may send any JSON: it is understood, or refused as their fault; nothing else is ever raised."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.chat.anthropic_messages.format import FORMAT as ANTHROPIC
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.ollama.format import FORMAT as OLLAMA
from intellirouter.chat.ollama.format import GENERATE_FORMAT
from intellirouter.chat.openai_chat.format import FORMAT as OPENAI
from intellirouter.chat.parts import Text
from intellirouter.errors import RequestError, UpstreamError
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.providers.table import ADAPTERS

REQUEST = ChatRequest(model="m", messages=(Message("user", (Text("x"),)),))
USAGE = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 3}
MESSAGE = {
    "id": "i",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "a", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "stop_sequence",
    "stop_sequence": "X",
    "usage": USAGE,
}
EVENTS: list[Any] = [
    {"type": "message_start", "message": {**MESSAGE, "content": []}},
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "b"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"a": 1}}},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "server_tool_use", "id": "s", "input": {}},
    },
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 3},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": USAGE},
    {"type": "message_stop"},
]
CALL = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
LINE = {
    "model": "m",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "a", "thinking": "hm", "tool_calls": [CALL]},
    "done": False,
}
DONE = {
    **LINE,
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 1,
    "eval_count": 2,
    "eval_duration": 3,
}

nonsense = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.just([None]), st.just({"type": []}), st.just(["a"]),
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key within `value`."""
    inner: list[tuple[Any, Any]] = []
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in entries:
        inner += [(value, key), *places(item)]
    return inner


def spoilt(draw: Any, value: Any) -> Any:
    """`value` with one to three of its places filled with something else."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        found = places(value)
        if not found:
            break
        holder, key = found[draw(st.integers(0, len(found) - 1))]
        holder[key] = copy.deepcopy(draw(nonsense))
    return value


STREAMS = {"anthropic": (EVENTS, b"data: %b\n\n"), "ollama": ([LINE, DONE], b"%b\n")}


@pytest.mark.parametrize("kind", STREAMS)
@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_a_stream_of_nonsense_is_understood_or_the_vendors_fault(kind: str, data: st.DataObject) -> None:
    events, frame = STREAMS[kind]
    sent = b"".join(frame % json.dumps(event).encode() for event in spoilt(data.draw, events))
    parser = ADAPTERS[kind].new_stream()
    encoders = [wire.new_encoder(REQUEST) for wire in (ANTHROPIC, OLLAMA, OPENAI)]
    try:
        for event in parser.feed(sent) + parser.close():
            for encoder in encoders:
                encoder.encode(event.deltas)
    except UpstreamError:
        return
    for encoder in encoders:
        encoder.finish()


@pytest.mark.parametrize(("kind", "answer"), [("anthropic", MESSAGE), ("ollama", DONE)])
@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_an_answer_of_nonsense_is_understood_or_the_vendors_fault(
    kind: str, answer: dict[str, Any], data: st.DataObject
) -> None:
    body = json.dumps(spoilt(data.draw, answer)).encode()
    adapter = ADAPTERS[kind]
    assert isinstance(adapter.parse_error(HttpResponse(500, {}, body), "p"), UpstreamError)
    try:
        response = adapter.parse_chat(HttpResponse(200, {}, body))
    except UpstreamError:
        return
    for wire in (ANTHROPIC, OLLAMA, OPENAI):
        wire.encode_response(response)


TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
BODIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "anthropic": (
        ANTHROPIC,
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 5,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://x"}}],
                },
                {"role": "assistant", "content": MESSAGE["content"]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "a"}]},
            ],
            "tools": [TOOL],
            "tool_choice": {"type": "tool", "name": "f"},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
            "temperature": 1,
            "metadata": {"user_id": "u"},
        },
    ),
    "ollama": (
        OLLAMA,
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": "x", "images": ["aGk="]},
                {"role": "assistant", "thinking": "hm", "tool_calls": [CALL]},
                {"role": "tool", "content": "a", "tool_name": "f"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "format": {"type": "object"},
            "think": "low",
            "options": {"temperature": 1, "num_ctx": 5, "stop": ["a"], "num_predict": 5},
        },
    ),
    "generate": (
        GENERATE_FORMAT,
        {
            "model": "m",
            "prompt": "p",
            "system": "s",
            "images": ["aGk="],
            "options": {"seed": 1},
            "think": True,
        },
    ),
}


@pytest.mark.parametrize("name", BODIES)
@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_a_body_of_nonsense_is_understood_or_the_clients_fault(name: str, data: st.DataObject) -> None:
    wire, body = BODIES[name]
    try:
        request = wire.decode_request(spoilt(data.draw, body), {})
    except RequestError:
        return
    for adapter in ADAPTERS.values():
        for asked in (request, request.changed()):
            try:
                adapter.build_chat(asked, Target("p", "m", "http://x"))
            except RequestError:
                continue
