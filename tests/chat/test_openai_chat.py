"""OpenAI chat completions, both directions: nothing a client or vendor said is lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.chat.delta import (
    Delta,
    Finish,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.chat.openai_chat.peek import peek_response
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Opaque,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from intellirouter.chat.response import ChatResponse, Choice, Usage
from intellirouter.errors import InvalidRequest, StreamInterrupted, UpstreamError
from intellirouter.providers.stream import sse_parser


def decode(body: dict[str, Any]) -> ChatRequest:
    return FORMAT.decode_request({"model": "m", "messages": [{"role": "user", "content": "x"}], **body}, {})


def message(body: dict[str, Any]) -> Message:
    return decode({"messages": [body]}).messages[0]


PNG = "data:image/png;base64,aGk="
MESSAGES: list[tuple[dict[str, Any], Message]] = [
    ({"role": "system", "content": "be brief"}, Message("system", (Text("be brief"),))),
    ({"role": "user", "content": "hi", "name": "ann"}, Message("user", (Text("hi"),), "ann")),
    (
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PNG}}],
        },
        Message("user", (Text("a"), Image(media_type="image/png", data="aGk="))),
    ),
    (
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}}],
        },
        Message("user", (Image(url="https://x/y", detail="low"),)),
    ),
    (
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}],
        },
        Message("user", (Audio("aGk=", "mp3"),)),
    ),
    (
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
                }
            ],
        },
        Message("user", (File(data="aGk=", media_type="application/pdf", filename="a.pdf"),)),
    ),
    (
        {"role": "user", "content": [{"type": "novelty", "x": 1}]},
        Message("user", (Opaque("openai_chat", {"type": "novelty", "x": 1}),)),
    ),
    (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1 }'}}
            ],
        },
        Message("assistant", (ToolCall("c1", "f", '{"a": 1 }'),)),
    ),
    (
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "f", "input": "free text"}}],
        },
        Message("assistant", (ToolCall("c1", "f", "free text", "custom"),)),
    ),
    ({"role": "assistant", "content": None, "refusal": "no"}, Message("assistant", (Refusal("no"),))),
    (
        {
            "role": "assistant",
            "content": "so",
            "reasoning_content": "hmm",
            "thinking_blocks": [
                {"type": "thinking", "thinking": "hmm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
            ],
        },
        Message("assistant", (Thinking("hmm", "sig"), RedactedThinking("xyz"), Text("so"))),
    ),
    (
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        Message("tool", (ToolResult("c1", (Text("42"),)),)),
    ),
]


@pytest.mark.parametrize(("body", "expected"), MESSAGES)
def test_a_message_is_read_and_written_back_the_same(body: dict[str, Any], expected: Message) -> None:
    assert message(body) == expected
    notes: list[str] = []
    written = FORMAT.encode_request(decode({"messages": [body]}).changed(), notes)["messages"]
    assert written == [body]
    assert not notes


FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"max_completion_tokens": 5}, "max_tokens", 5),
    ({"temperature": 0.5}, "temperature", 0.5),
    ({"stop": ["a", "b"]}, "stop", ("a", "b")),
    ({"seed": 7}, "seed", 7),
    ({"logit_bias": {"50256": -100}}, "logit_bias", {"50256": -100}),
    ({"reasoning_effort": "high"}, "reasoning", Reasoning(effort="high")),
    ({"response_format": {"type": "json_object"}}, "output", OutputFormat("json")),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
            }
        },
        "output",
        OutputFormat("json_schema", {"a": 1}, "n", strict=True),
    ),
    ({"tool_choice": "required"}, "tool_choice", ToolChoice("required")),
    (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        "tool_choice",
        ToolChoice("named", "f"),
    ),
    (
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
                }
            ]
        },
        "tools",
        (Tool("f", parameters={"type": "object"}, strict=True),),
    ),
    ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
    ({"service_tier": "flex"}, "service_tier", "flex"),
    ({"a_new_field": [1]}, "extra", {"a_new_field": [1]}),
    ({"reasoning_effort": "default"}, "extra", {"reasoning_effort": "default"}),
]


@pytest.mark.parametrize(("body", "field", "expected"), FIELDS)
def test_a_field_is_read_and_written_back_the_same(body: dict[str, Any], field: str, expected: Any) -> None:
    request = decode(body)
    assert getattr(request, field) == expected
    written = FORMAT.encode_request(request.changed(), [])
    assert {key: written.get(key) for key in body} == body


def test_our_own_fields_are_taken_out_before_a_provider_sees_the_body() -> None:
    request = decode({"persona": "p", "rag": {"collections": ["c"]}, "intellirouter": {"tags": ["t"]}})
    assert request.options is not None
    assert (request.options.persona, request.options.tags) == ("p", ("t",))
    assert FORMAT.encode_request(request, []).keys() == {"model", "messages"}


@pytest.mark.parametrize(
    "body",
    [
        {"tool_choice": "maybe"},
        {"response_format": {"type": "xml"}},
        {"reasoning_effort": 3},
        {"n": 0},
        {"tools": [{"type": "function"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": []},
        {"stream": "yes"},
        {"intellirouter": {"timeout": -1}},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body)
    assert refused.value.param


words = st.text(max_size=30)
parts = st.one_of(
    st.builds(Text, words),
    st.builds(Image, url=st.just("https://example.org/a.png"), detail=st.sampled_from([None, "low"])),
    st.builds(Image, media_type=st.just("image/png"), data=st.just("aGk=")),
)
calls = st.builds(ToolCall, st.text("abc", min_size=1), st.text("fgh", min_size=1), words.filter(bool))
messages = st.one_of(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "developer"]),
        st.lists(parts, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(Message, st.just("assistant"), st.lists(calls, min_size=1, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), st.builds(Text, st.text(min_size=1)).map(lambda part: (part,))),
    st.builds(lambda i, t: Message("tool", (ToolResult(i, (Text(t),)),)), st.text("abc", min_size=1), words),
)
requests = st.builds(
    ChatRequest,
    model=st.text("m-", min_size=1),
    messages=st.lists(messages, min_size=1, max_size=5).map(tuple),
    max_tokens=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2),
    stop=st.lists(st.text(min_size=1), max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])),
    tools=st.lists(
        st.builds(Tool, st.text("fgh", min_size=1), description=st.none() | words), max_size=2
    ).map(tuple),
    reasoning=st.none() | st.builds(Reasoning, effort=st.sampled_from(["low", "high"])),
    user=st.none() | words,
    extra_dialect=st.just("openai_chat"),
)


@given(requests)
@settings(max_examples=200)
def test_canonical_to_the_dialect_and_back_is_the_identity(request: ChatRequest) -> None:
    body = msgspec.json.decode(msgspec.json.encode(FORMAT.encode_request(request, [])))
    assert FORMAT.decode_request(body, {}).changed() == request


def stream(chunks: list[bytes], ends: bool = True) -> list[Delta]:
    parser = sse_parser(FORMAT.new_decoder())
    events = [event for piece in chunks for event in parser.feed(piece)]
    if ends:
        events += parser.close()
    return [delta for event in events for delta in event.deltas]


def sse(*chunks: dict[str, Any], done: bool = True) -> bytes:
    lines = [b"data: " + json.dumps(body).encode() + b"\n\n" for body in chunks]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {
        "id": "i",
        "model": "m",
        "created": 1,
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }


def call(index: int, **function: str) -> dict[str, Any]:
    identity = {"id": f"c{index}", "type": "function"} if "name" in function else {}
    return {"tool_calls": [{"index": index, **identity, "function": function}]}


START = Start(id="i", model="m", created=1)
USAGE = {"id": "i", "model": "m", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
STREAMS: list[tuple[str, bytes, list[Delta]]] = [
    (
        "text",
        sse(
            chunk({"role": "assistant", "content": ""}), chunk({"content": "héllo"}), chunk({}, "stop"), USAGE
        ),
        [START, TextDelta("héllo", 1), Finish("stop"), UsageDelta(Usage(5, 2, extra_dialect="openai_chat"))],
    ),
    (
        "no [DONE]",
        sse(chunk({"content": "a"}), chunk({}, "stop"), done=False),
        [START, TextDelta("a", 1), Finish("stop")],
    ),
    (
        "parallel tool calls, arguments byte for byte",
        sse(
            chunk(call(0, name="f", arguments="")),
            chunk(call(0, arguments='{"a":')),
            chunk(call(1, name="g", arguments="{}")),
            chunk(call(0, arguments=' "é"}')),
            chunk({}, "tool_calls"),
        ),
        [
            START,
            ToolCallStart(0, "c0", "f", block=3),
            ToolCallArguments(0, '{"a":', 3),
            ToolCallStart(1, "c1", "g", block=4),
            ToolCallArguments(1, "{}", 4),
            ToolCallArguments(0, ' "é"}', 3),
            Finish("tool_calls"),
        ],
    ),
    (
        "reasoning",
        sse(chunk({"reasoning_content": "hm"}), chunk({"content": "so"}), chunk({}, "length")),
        [START, ThinkingDelta("hm"), TextDelta("so", 1), Finish("length")],
    ),
    (
        "two choices",
        sse(
            chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"), chunk({}, "stop", 1)
        ),
        [START, TextDelta("a", 1), TextDelta("b", 1, 1), Finish("stop"), Finish("stop", 1)],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [c[1:] for c in STREAMS], ids=[c[0] for c in STREAMS])
def test_a_stream_means_the_same_whole_split_and_reencoded(data: bytes, expected: list[Delta]) -> None:
    assert stream([data]) == expected
    assert stream([data[i : i + 1] for i in range(len(data))]) == expected
    encoder = FORMAT.new_encoder(decode({"stream": True, "stream_options": {"include_usage": True}}))
    again = b"".join(encoder.encode((delta,)) for delta in expected) + encoder.finish()
    assert [delta for delta in stream([again]) if delta != TextDelta("", 1)] == expected


@pytest.mark.parametrize("data", [c[1] for c in STREAMS], ids=[c[0] for c in STREAMS])
def test_a_cut_stream_never_looks_complete(data: bytes) -> None:
    last_finish = data.rindex(b'"finish_reason": "')
    for cut in range(1, last_finish, 7):
        with pytest.raises((StreamInterrupted, UpstreamError)):
            stream([data[:cut]])


def test_an_error_inside_a_stream_is_raised_with_its_reason() -> None:
    data = sse(chunk({"content": "a"}), {"error": {"message": "overloaded today", "code": 503}}, done=False)
    with pytest.raises(UpstreamError) as caught:
        stream([data])
    assert "overloaded today" in str(caught.value.__cause__)  # a fault of its own: for the log alone


def test_a_whole_answer_is_written_back_the_same() -> None:
    response = ChatResponse(
        id="i",
        model="m",
        created=5,
        choices=(Choice((Thinking("t"), Text("a"), ToolCall("c", "f", "{}")), "tool_calls"),),
        usage=Usage(3, 4, cached_tokens=1, reasoning_tokens=2),
    )
    data = FORMAT.encode_response(response)
    assert not {"system_fingerprint", "service_tier"} & json.loads(data).keys()
    again = FORMAT.decode_response(data)
    assert again.choices == response.choices
    assert again.usage is not None
    assert (again.usage.input_tokens, again.usage.cached_tokens, again.usage.reasoning_tokens) == (3, 1, 2)
    named = msgspec.structs.replace(response, system_fingerprint="fp_1", service_tier="flex")
    body = json.loads(FORMAT.encode_response(named))
    assert (body["system_fingerprint"], body["service_tier"]) == ("fp_1", "flex")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 9, "prompt_cache_hit_tokens": 3},
        {
            "prompt_tokens": 5,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0, "another": 1},
        },
        {"prompt_tokens": 5.0, "completion_tokens": None},
    ],
)
def test_a_peek_knows_what_the_whole_answer_knows(usage: dict[str, Any] | None) -> None:
    choices = [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "length"}]
    body = json.dumps({"id": "i", "model": "m", "choices": choices, "usage": usage}).encode()
    peeked, whole = peek_response(body), FORMAT.decode_response(body)
    assert (peeked.id, peeked.model, peeked.raw) == (whole.id, whole.model, whole.raw)
    assert [choice.finish_reason for choice in peeked.choices] == ["length"]
    plain = [
        None if usage is None else msgspec.structs.replace(usage, extra={}, extra_dialect=None)
        for usage in (peeked.usage, whole.usage)
    ]
    assert plain[0] == plain[1]


def test_a_stream_that_ends_without_saying_why_has_an_end_for_every_client() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    events = [
        {"id": "i", "model": "m", "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"id": "i", "model": "m", "choices": [{"index": 1, "delta": {"tool_calls": [call]}}]},
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    parser = sse_parser(FORMAT.new_decoder())
    found = parser.feed(body + b"data: [DONE]\n\n") + parser.close()
    assert [delta for event in found for delta in event.deltas if isinstance(delta, Finish)] == [
        Finish("stop", 0),
        Finish("tool_calls", 1, "stop"),
    ]
    assert b"".join(event.raw for event in found) == body  # the marker is a front's to write


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            Audio("aGk=", "wav", "a1", "Hi", 9),
            {"id": "a1", "data": "aGk=", "transcript": "Hi", "expires_at": 9},
        ),
        (Audio("aGk="), {"id": "", "data": "aGk=", "transcript": "", "expires_at": 0}),
    ],
)
def test_what_a_model_spoke_is_told_with_its_words(said: Audio, told: dict[str, Any]) -> None:
    answer = ChatResponse(id="r", model="m", choices=(Choice(content=(said,)),))
    assert json.loads(FORMAT.encode_response(answer))["choices"][0]["message"]["audio"] == told
