"""Ollama's native API, both directions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.delta import (
    Delta,
    Finish,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
)
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from intellirouter.chat.ollama.format import FORMAT, GENERATE_FORMAT
from intellirouter.chat.parts import Audio, File, Image, Text, Thinking, ToolCall, ToolResult
from intellirouter.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    StreamInterrupted,
    UnsupportedByTarget,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamUnavailable,
    UpstreamUnfit,
)
from intellirouter.providers import ollama
from intellirouter.providers.adapter import HttpResponse, Target


def decode(body: dict[str, Any]) -> ChatRequest:
    return FORMAT.decode_request({"model": "m", "messages": [{"role": "user", "content": "x"}], **body}, {})


FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"options": {"temperature": 0.5}}, "temperature", 0.5),
    ({"options": {"num_predict": 5, "num_ctx": 8192}}, "max_tokens", 5),
    ({"options": {"stop": ["a"]}}, "stop", ("a",)),
    ({"format": "json"}, "output", OutputFormat("json")),
    ({"format": {"type": "object"}}, "output", OutputFormat("json_schema", {"type": "object"})),
    ({"think": False}, "reasoning", Reasoning(mode="disabled")),
    ({"think": True}, "reasoning", Reasoning(mode="adaptive")),
    ({"keep_alive": "5m"}, "extra", {"keep_alive": "5m"}),
    ({"stream": False}, "stream", False),
    ({}, "stream", True),
]


@pytest.mark.parametrize(("body", "field", "expected"), FIELDS)
def test_a_field_is_read_and_written_back_the_same(body: dict[str, Any], field: str, expected: Any) -> None:
    request = decode(body)
    assert getattr(request, field) == expected
    written = FORMAT.encode_request(request.changed(), [])
    assert {key: written.get(key) for key in body} == body


def test_a_tool_result_finds_its_call_by_name_or_order() -> None:
    calls = [{"function": {"name": name, "arguments": {"a": 1}}} for name in ("f", "g")]
    request = decode(
        {
            "messages": [
                {"role": "assistant", "tool_calls": calls},
                {"role": "tool", "tool_name": "g", "content": "of g"},
                {"role": "tool", "content": "of f"},
            ]
        }
    )
    first, second = (part for part in request.messages[0].content if isinstance(part, ToolCall))
    results = [
        part for message in request.messages[1:] for part in message.content if isinstance(part, ToolResult)
    ]
    assert [result.call_id for result in results] == [second.id, first.id]
    assert first.id != second.id


def test_generate_is_a_chat_of_one_turn() -> None:
    request = GENERATE_FORMAT.decode_request(
        {"model": "m", "prompt": "p", "system": "s", "images": ["aGk="]}, {}
    )
    assert request.messages == (
        Message("system", (Text("s"),)),
        Message("user", (Text("p"), Image(data="aGk="))),
    )


def canonical(*parts: Any, role: Any = "user", **more: Any) -> ChatRequest:
    return ChatRequest(**{"model": "m", "messages": (Message(role, parts or (Text("x"),)),), **more})


def test_what_ollama_cannot_do_is_refused_or_noted() -> None:
    for refused in (
        canonical(Image(url="https://x/y")),
        canonical(Audio("x")),
        canonical(File(data="x")),
        canonical(n=2),
        canonical(tools=(Tool("web_search", kind="builtin", dialect="anthropic_messages"),)),
    ):
        with pytest.raises(UnsupportedByTarget):
            FORMAT.encode_request(refused, [])
    notes: list[str] = []
    body = FORMAT.encode_request(canonical(tools=(Tool("f"),), tool_choice=ToolChoice("required")), notes)
    assert "left to the model" in notes[0]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]


def test_what_is_only_approximated_is_noted() -> None:
    two = (Tool("f"), Tool("g"))
    cases: list[tuple[ChatRequest, str, str, Any]] = [
        (canonical(tools=two, tool_choice=ToolChoice("named", "g")), "Only the tools", "tools", ["g"]),
        (
            canonical(tools=two, tool_choice=ToolChoice("allowed", names=("f",))),
            "Only the tools",
            "tools",
            ["f"],
        ),
        (canonical(reasoning=Reasoning("high")), "How much to think", "think", True),
        (canonical(reasoning=Reasoning("xhigh"), model="gpt-oss:20b"), "", "think", "high"),
        (canonical(reasoning=Reasoning("none")), "", "think", False),
        (canonical(parallel_tool_calls=False), "'parallel_tool_calls'", "tools", []),
        (canonical(File(text="words")), "text document", "tools", []),
        (canonical(ToolResult("c", (Image(data="aGk="),)), role="tool"), "pictures", "tools", []),
    ]
    for request, noted, field, written in cases:
        notes: list[str] = []
        body = FORMAT.encode_request(request, notes)
        value = body.get(field, [])
        assert ([tool["function"]["name"] for tool in value] if field == "tools" else value) == written
        assert noted in " ".join(notes)


@pytest.mark.parametrize(
    ("start", "kind"), [("/9j/4AAQ", "image/jpeg"), ("iVBORw0KGgoAAA", "image/png"), ("aGk=", None)]
)
def test_a_picture_is_known_by_its_first_bytes(start: str, kind: str | None) -> None:
    request = decode({"messages": [{"role": "user", "content": "x", "images": [start]}]})
    assert request.messages[0].content[1] == Image(data=start, media_type=kind)


@pytest.mark.parametrize("field", ["suffix", "template", "raw", "context"])
def test_generate_refuses_what_only_the_models_own_server_can_do(field: str) -> None:
    body = {"model": "m", "prompt": "p"}
    with pytest.raises(InvalidRequest) as refused:
        GENERATE_FORMAT.decode_request({**body, field: [1] if field == "context" else "x"}, {})
    assert refused.value.param == field
    request = GENERATE_FORMAT.decode_request({**body, field: None, "keep_alive": "5m"}, {})
    assert request.extra == {"keep_alive": "5m"}


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "unauthorized", UpstreamAuthFailed),
        (429, "too many", UpstreamRateLimited),
        (400, "the input length exceeds the context length", ContextLengthExceeded),
        (404, "model 'x' not found", UpstreamUnfit),
        (500, "runner stopped", UpstreamUnavailable),
    ],
)
def test_an_error_is_told_by_its_status_and_words(status: int, words: str, kind: type[UpstreamError]) -> None:
    body = json.dumps({"error": words}).encode()
    error = ollama.parse_error(HttpResponse(status, {"retry-after": "7"}, body), "p")
    assert type(error) is kind
    assert error.retry_after == 7


@pytest.mark.parametrize("base", ["http://h:1", "http://h:1/v1", "http://h:1/api"])
def test_any_customary_base_url_means_the_whole_server(base: str) -> None:
    request = ollama.build_chat(canonical(), Target("p", "m", base))
    assert request.url == "http://h:1/api/chat"


words = st.text(min_size=1, max_size=20)
arguments = st.dictionaries(words, st.integers(0, 9), max_size=2).map(
    lambda value: msgspec.json.encode(value).decode()
)
turns = st.one_of(
    st.builds(lambda text: Message("user", (Text(text), Image(data="aGk="))), words),
    st.builds(lambda thought, text: Message("assistant", (Thinking(thought), Text(text))), words, words),
    st.builds(
        lambda i, name, args: Message("assistant", (ToolCall(i, name, args),)), words, words, arguments
    ),
)


@given(st.lists(turns, min_size=1, max_size=4), st.none() | st.integers(0, 2**31))
def test_canonical_to_the_dialect_and_back_is_the_identity(messages: list[Message], seed: int | None) -> None:
    request = ChatRequest(
        model="m",
        messages=tuple(messages),
        seed=seed,
        stream=True,
        include_usage=True,
        extra_dialect="ollama",
    )
    body = msgspec.json.decode(msgspec.json.encode(FORMAT.encode_request(request, [])))
    assert FORMAT.decode_request(body, {}).changed() == request


def stream(pieces: list[bytes]) -> list[Delta]:
    parser = ollama.new_stream()
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    return [delta for event in events for delta in event.deltas]


def lines(*messages: dict[str, Any], last: dict[str, Any] | None = None) -> bytes:
    head = {"model": "m", "created_at": "t"}
    bodies = [{**head, "message": {"role": "assistant", **message}, "done": False} for message in messages]
    bodies.append({**head, "message": {"role": "assistant", "content": ""}, "done": True, **(last or {})})
    return b"".join(json.dumps(body, ensure_ascii=False).encode() + b"\n" for body in bodies)


STREAM = lines(
    {"content": "", "thinking": "hm"},
    {"content": "Grüße"},
    {"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
    last={"done_reason": "stop"},
)


def test_a_stream_means_the_same_whole_and_split() -> None:
    deltas = stream([STREAM])
    call = next(delta for delta in deltas if isinstance(delta, ToolCallStart))
    assert deltas == [
        Start(id="ollama-t", model="m"),
        ThinkingDelta("hm"),
        TextDelta("Grüße", 1),
        ToolCallStart(0, call.id, "f", block=2),
        ToolCallArguments(0, '{"a":1}', 2),
        Finish("tool_calls", 0, "stop"),
    ]
    assert stream([STREAM[i : i + 1] for i in range(len(STREAM))]) == deltas
    encoder = FORMAT.new_encoder(decode({}))
    again = stream([b"".join(encoder.encode((delta,)) for delta in deltas) + encoder.finish()])
    kept = (ThinkingDelta, TextDelta, ToolCallStart, ToolCallArguments, Finish)
    assert [d for d in again if isinstance(d, kept)] == [d for d in deltas if isinstance(d, kept)]


def test_a_cut_stream_never_looks_complete() -> None:
    for cut in range(1, STREAM.rindex(b'"done": true')):
        with pytest.raises(StreamInterrupted):
            stream([STREAM[:cut]])


def test_an_error_line_is_raised_with_its_reason() -> None:
    with pytest.raises(UpstreamError) as raised:
        stream([b'{"error":"model runner has stopped"}\n'])
    assert "model runner has stopped" in str(raised.value.__cause__)  # a fault of its own: for the log


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"format": "yaml"}, "format"),
        ({"think": "much"}, "think"),
        ({"messages": [{"role": "x"}]}, "messages[0].role"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body)
    assert refused.value.param == param
