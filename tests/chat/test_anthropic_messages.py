"""Anthropic Messages, both directions."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.chat.anthropic_messages.format import FORMAT
from intellirouter.chat.delta import (
    Delta,
    Finish,
    RedactedThinkingDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from intellirouter.chat.parts import (
    Audio,
    CacheMarker,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from intellirouter.chat.response import ChatResponse, Choice, Usage
from intellirouter.errors import InvalidRequest, StreamInterrupted, UnsupportedByTarget, UpstreamError
from intellirouter.providers import anthropic


def decode(body: dict[str, Any]) -> ChatRequest:
    head = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    return FORMAT.decode_request({**head, **body}, {})


BLOCKS: list[tuple[str, dict[str, Any], Part]] = [
    ("user", {"type": "text", "text": "a"}, Text("a")),
    (
        "user",
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        Text("a", CacheMarker("1h")),
    ),
    (
        "user",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        Image(media_type="image/png", data="aGk="),
    ),
    ("user", {"type": "image", "source": {"type": "url", "url": "https://x/y"}}, Image(url="https://x/y")),
    (
        "user",
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            "title": "t",
            "citations": {"enabled": True},
        },
        File(data="aGk=", media_type="application/pdf", title="t", citations=True),
    ),
    (
        "user",
        {"type": "tool_result", "tool_use_id": "c", "content": "bad", "is_error": True},
        ToolResult("c", (Text("bad"),), is_error=True),
    ),
    (
        "user",
        {
            "type": "tool_result",
            "tool_use_id": "c",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
            ],
        },
        ToolResult("c", (Text("see"), Image(url="https://x/y"))),
    ),
    (
        "assistant",
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        Thinking("hm", "s", signer="anthropic"),
    ),
    ("assistant", {"type": "redacted_thinking", "data": "zz"}, RedactedThinking("zz")),
    (
        "assistant",
        {"type": "tool_use", "id": "c", "name": "f", "input": {"a": [1, "é"]}},
        ToolCall("c", "f", '{"a":[1,"é"]}'),
    ),
    (
        "assistant",
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        Opaque(
            "anthropic_messages", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
        ),
    ),
]


@pytest.mark.parametrize(("role", "block", "part"), BLOCKS)
def test_a_block_is_read_and_written_back_the_same(role: str, block: dict[str, Any], part: Part) -> None:
    turn = {"role": role, "content": [block]}
    request = decode({"messages": [turn]})
    assert request.messages[0].content == (part,)
    written = FORMAT.encode_request(request.changed(), [])["messages"]
    plain = block.keys() == {"type", "text"}
    assert written == [{"role": role, "content": block["text"]} if plain else turn]


FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"stop_sequences": ["a"]}, "stop", ("a",)),
    ({"top_k": 5}, "top_k", 5),
    ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "reasoning", Reasoning(None, 2048, "enabled")),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
        "reasoning",
        Reasoning("xhigh", mode="adaptive"),
    ),
    ({"thinking": {"type": "between_tools"}}, "extra", {"thinking": {"type": "between_tools"}}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}},
        "output",
        OutputFormat("json_schema", {"a": 1}),
    ),
    ({"metadata": {"user_id": "u"}}, "user", "u"),
    ({"cache_control": {"type": "ephemeral"}}, "cache", CacheMarker()),
    ({"context_management": {"edits": []}}, "extra", {"context_management": {"edits": []}}),
    (
        {"tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}]},
        "tools",
        (Tool("f", parameters={"type": "object"}, extra={"defer_loading": True}),),
    ),
]


@pytest.mark.parametrize(("body", "field", "expected"), FIELDS)
def test_a_field_is_read_and_written_back_the_same(body: dict[str, Any], field: str, expected: Any) -> None:
    request = decode(body)
    assert getattr(request, field) == expected
    written = FORMAT.encode_request(request.changed(), [])
    assert {key: written.get(key) for key in body} == body


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "f"}, ToolChoice("named", "f"), None),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choice_survives(choice: dict[str, Any], expected: ToolChoice, parallel: bool | None) -> None:
    request = decode({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": choice})
    assert (request.tool_choice, request.parallel_tool_calls) == (expected, parallel)
    assert FORMAT.encode_request(request.changed(), [])["tool_choice"] == choice


def canonical(**more: Any) -> ChatRequest:
    return ChatRequest(**{"model": "claude-x", "messages": (Message("user", (Text("x"),)),), **more})


def test_what_other_dialects_say_is_carried_approximated_or_refused() -> None:
    notes: list[str] = []
    request = canonical(
        messages=(
            Message("system", (Text("be brief"),)),
            Message("user", (Text("a"),)),
            Message(
                "assistant", (Thinking("unsigned"), ToolCall("1", "f", "{}"), ToolCall("2", "g", "not json"))
            ),
            Message("tool", (ToolResult("1", (Text("one"),)),)),
            Message("tool", (ToolResult("2", (Text("two"),)),)),
            Message("user", (Text("go on"),)),
            Message("developer", (Text("and kind"),)),
        ),
        seed=7,
        verbosity="low",
        output=OutputFormat("json"),
        reasoning=Reasoning("high"),
    )
    body = FORMAT.encode_request(request, notes)
    assert [block["text"] for block in body["system"]][:2] == ["be brief", "and kind"]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    kinds = [block["type"] for block in body["messages"][2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text"]
    assert body["output_config"] == {"effort": "high"}
    said = " ".join(notes)
    for word in ("mid-conversation", "signature", "'g'", "'seed'", "'verbosity'", "JSON mode"):
        assert word in said
    for refused in (canonical(n=2), canonical(messages=(Message("user", (Audio("x"),)),))):
        with pytest.raises(UnsupportedByTarget):
            FORMAT.encode_request(refused, [])


F = (Tool("f", parameters={"type": "object"}), Tool("g", parameters={"type": "object"}))
CALLED = (Message("user", (Text("x"),)), Message("assistant", (Thinking("hm"), ToolCall("1", "f", "{}"))))
ANSWERED = (*CALLED, Message("tool", (ToolResult("1", (Text("one"),)),)))
SIGNED = (CALLED[0], Message("assistant", (Thinking("hm", "sig"), CALLED[1].content[1])), ANSWERED[2])

# The model, what is asked, what of it is written, and a word of the note where something was changed.
APPROXIMATED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("claude-x", {"temperature": 1.5}, {"temperature": 1}, "Temperature"),
    ("claude-x", {"temperature": 0.2, "top_k": 3}, {"temperature": 0.2, "top_k": 3}, ""),
    *(
        (
            model,
            {"reasoning": Reasoning("low")},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            "budget",
        )
        for model in ("claude-3-7-sonnet-20250219", "claude-sonnet-4-5", "claude-haiku-4-5-20251001")
    ),
    (
        "claude-sonnet-4-5",
        {"reasoning": Reasoning("xhigh", mode="adaptive")},
        {"thinking": {"type": "enabled", "budget_tokens": 32_768}, "output_config": None},
        "budget",
    ),
    (
        "claude-opus-4-6",
        {"reasoning": Reasoning("minimal")},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        "",
    ),
    (
        "claude-opus-4-7",
        {"reasoning": Reasoning(budget_tokens=10_000), "temperature": 0.1},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}, "temperature": None},
        "effort 'medium'",
    ),
    ("claude-opus-4-7", {"reasoning": Reasoning("none")}, {"thinking": None}, ""),
    ("claude-opus-4-8", {"top_p": 0.5}, {"top_p": None}, "samples in its own way"),
    ("claude-3-5-haiku-latest", {"reasoning": Reasoning("high")}, {"thinking": None}, "does not think"),
    (
        "claude-x",
        {"reasoning": Reasoning("high"), "temperature": 0.2, "top_k": 3, "top_p": 0.97},
        {"temperature": None, "top_k": None, "top_p": 0.97, "thinking": {"type": "adaptive"}},
        "'temperature'",
    ),
    (
        "claude-sonnet-4-5",
        {"reasoning": Reasoning("high"), "tools": F, "tool_choice": ToolChoice("named", "f")},
        {"thinking": None, "tool_choice": {"type": "tool", "name": "f"}},
        "made to call a tool",
    ),
    (
        "claude-opus-4-6",
        {"reasoning": Reasoning("high"), "tools": F, "tool_choice": ToolChoice("named", "f")},
        {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "tool", "name": "f"}},
        "",
    ),
    *(
        (
            model,
            {"reasoning": Reasoning(budget_tokens=5_000), "temperature": 0.5, "top_p": 0.9, "top_k": 3},
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "low"},
                "temperature": None,
                "top_p": None,
                "top_k": None,
            },
            "'top_k' was left out",
        )
        for model in (
            "claude-opus-4-8",
            "claude-sonnet-5",
            "claude-opus-5",
            "claude-fable-5-1",
            "claude-mythos-preview",
            "claude-haiku-5-5",
            "anthropic.claude-sonnet-5-5-v1:0",
        )
    ),
    *(
        (model, {"temperature": 1, "top_p": 1.0}, {"temperature": None, "top_p": None}, "")
        for model in ("claude-sonnet-5", "claude-haiku-5-5")
    ),
    ("claude-sonnet-5", {"reasoning": Reasoning("none")}, {"thinking": {"type": "disabled"}}, ""),
    ("claude-sonnet-5-5", {"reasoning": Reasoning("none")}, {"thinking": {"type": "between_tools"}}, ""),
    *(
        (
            model,
            {"reasoning": Reasoning("none")},
            {"thinking": None, "output_config": {"effort": "low"}},
            "always",
        )
        for model in ("claude-opus-5-5", "claude-fable-5", "claude-mythos-5-1")
    ),
    *(
        (
            model,
            {"tools": F, "tool_choice": ToolChoice("required")},
            {"tool_choice": {"type": choice}},
            "cannot be made to call" if choice == "auto" else "",
        )
        for model, choice in (
            ("claude-sonnet-5", "any"),
            ("claude-haiku-5-5", "any"),
            ("claude-fable-5", "any"),
            ("claude-fable-5-1", "auto"),
            ("claude-sonnet-5-5", "auto"),
            ("claude-opus-5-5", "auto"),
        )
    ),
    (
        "claude-sonnet-4-5",
        {"temperature": 0.5, "top_p": 0.9},
        {"temperature": 0.5, "top_p": None},
        "not both",
    ),
    ("claude-sonnet-4-20250514", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, ""),
    (
        "claude-opus-4-6",
        {"reasoning": Reasoning("xhigh")},
        {"output_config": {"effort": "high"}},
        "which this model knows",
    ),
    (
        "claude-haiku-4-5",
        {"messages": (Message("user", (Text("x"),)), Message("assistant", (Text("{"),)))},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]},
        "",
    ),
    (
        "claude-haiku-5-5",
        {"messages": (Message("user", (Text("x"),)), Message("assistant", (Text("{"),)))},
        {
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "{"},
                {
                    "role": "user",
                    "content": "Go on with your last turn from exactly the character where it stops. Repeat nothing of it.",
                },
            ]
        },
        "goes on with no turn of its own",
    ),
    (
        "claude-sonnet-4-5",
        {"reasoning": Reasoning("high"), "tools": F, "messages": ANSWERED},
        {"thinking": None},
        "without signed thoughts",
    ),
    (
        "claude-sonnet-4-5",
        {"reasoning": Reasoning("high"), "tools": F, "messages": SIGNED},
        {"thinking": {"type": "enabled", "budget_tokens": 16_384}},
        "a budget of 16384",
    ),
    (
        "claude-x",
        {"tools": F, "tool_choice": ToolChoice("allowed", names=("g",), mode="required")},
        {"tools": [{"name": "g", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}},
        "allowed tools",
    ),
    (
        "claude-x",
        {"messages": (Message("system", (Text("be"),)),)},
        {"messages": [{"role": "user", "content": "be"}], "system": None},
        "user's turn",
    ),
    (
        "claude-x",
        {"messages": (Message("user", (File(data="YSxi", media_type="text/csv"),)),)},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "a,b"},
                        }
                    ],
                }
            ]
        },
        "",
    ),
]


@pytest.mark.parametrize(("model", "asked", "written", "noted"), APPROXIMATED)
def test_each_model_is_asked_in_the_way_it_takes(
    model: str, asked: dict[str, Any], written: dict[str, Any], noted: str
) -> None:
    notes: list[str] = []
    body = FORMAT.encode_request(canonical(model=model, **asked), notes)
    assert {key: body.get(key) for key in written} == written
    assert (noted in " ".join(notes)) if noted else notes == []
    assert body["max_tokens"] > body.get("thinking", {}).get("budget_tokens", 0)


def test_foreign_call_ids_become_ids_the_api_takes_and_still_meet() -> None:
    parts = (ToolCall("functions.f:0", "f", "{}"), ToolCall("functions.f-0", "f", "{}"))
    request = canonical(
        messages=(Message("assistant", parts), Message("tool", tuple(ToolResult(part.id) for part in parts)))
    )
    said, answered = FORMAT.encode_request(request, [])["messages"]
    ids = [block["id"] for block in said["content"]]
    assert [block["tool_use_id"] for block in answered["content"]] == ids
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", given) for given in ids)


def test_a_body_of_this_dialect_passes_unchanged_but_for_thoughts_the_api_never_signed() -> None:
    unsigned = {"type": "thinking", "thinking": "hm", "signature": ""}
    signed = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said = {"type": "text", "text": "a"}
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [unsigned]},
        {"role": "assistant", "content": [unsigned, said]},
        {"role": "assistant", "content": [signed, said]},
    ]
    body = {"model": "m", "max_tokens": 5, "messages": turns, "stream": True, "future": {"a": 1}}
    notes: list[str] = []
    request = FORMAT.decode_request(body, {}).routed(model="claude-x")
    assert FORMAT.encode_request(request, notes) == {
        **body,
        "model": "claude-x",
        "messages": [turns[0], {"role": "assistant", "content": [said]}, turns[3]],
    }
    assert len(notes) == 1
    assert body["messages"] == turns


def test_of_the_citations_in_a_body_only_those_go_back_that_the_api_made() -> None:
    page = {"type": "web_search_result_location", "url": "https://x", "title": "X", "cited_text": "a"}
    theirs, ours = {**page, "encrypted_index": "c2VhbGVk"}, {**page, "encrypted_index": ""}
    said: list[dict[str, Any]] = [
        {"type": "text", "text": "a", "citations": [theirs, ours]},
        {"type": "text", "text": "b", "citations": [ours]},
        {"type": "text", "text": "c", "citations": [theirs]},
        {"type": "text", "text": "d"},
    ]
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": said}]
    request = FORMAT.decode_request({"model": "m", "max_tokens": 5, "messages": turns}, {})
    _, answer = FORMAT.encode_request(request.routed(model="claude-x"), [])["messages"]
    assert answer["content"] == [
        {**said[0], "citations": [theirs]},
        {**said[1], "citations": None},
        *said[2:],
    ]


words = st.text(min_size=1, max_size=20)
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
user_parts = st.one_of(
    st.builds(Text, words, st.none() | st.just(CacheMarker())),
    st.builds(Image, url=st.just("https://example.org/a.png")),
    st.builds(ToolResult, ids, st.builds(Text, words).map(lambda part: (part,)), is_error=st.booleans()),
)
arguments = st.dictionaries(words, st.integers(0, 9), max_size=2).map(
    lambda value: msgspec.json.encode(value).decode()
)
assistant_parts = st.one_of(
    st.builds(Text, words),
    st.builds(Thinking, words, words, signer=st.just("anthropic")),
    st.builds(ToolCall, ids, words, arguments),
)


@given(
    st.lists(
        st.tuples(
            st.lists(user_parts, min_size=1, max_size=3).map(
                lambda parts: tuple(sorted(parts, key=lambda part: not isinstance(part, ToolResult)))
            ),
            st.lists(assistant_parts, min_size=1, max_size=3).map(tuple),
        ),
        min_size=1,
        max_size=3,
    ),
    st.none() | st.floats(0, 1),
)
@settings(max_examples=100)
def test_canonical_to_the_dialect_and_back_is_the_identity(
    turns: list[Any], temperature: float | None
) -> None:
    messages = tuple(
        message for asked, said in turns for message in (Message("user", asked), Message("assistant", said))
    )
    request = canonical(
        messages=messages,
        temperature=temperature,
        max_tokens=5,
        include_usage=True,
        extra_dialect="anthropic_messages",
    )
    body = msgspec.json.decode(msgspec.json.encode(FORMAT.encode_request(request, [])))
    assert FORMAT.decode_request(body, {}).changed() == request


def stream(pieces: list[bytes]) -> list[Delta]:
    parser = anthropic.new_stream()
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    return [delta for event in events for delta in event.deltas]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


STREAM = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "model": "claude-x-1",
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10},
        },
    },
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sig"},
    ),
    *block(1, {"type": "redacted_thinking", "data": "zz"}),
    *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Grüße"}),
    *block(
        3,
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"a": '},
        {"type": "input_json_delta", "partial_json": "1}"},
    ),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
)
START_USAGE = Usage(115, 0, 100, 10, extra_dialect="anthropic_messages")
EXPECTED: list[Delta] = [
    Start("msg_1", "claude-x-1", usage=START_USAGE),
    ThinkingDelta("hm"),
    ThinkingDelta(signature="sig", signer="anthropic"),
    RedactedThinkingDelta("zz", 1),
    TextDelta("Grüße", 2),
    ToolCallStart(0, "c1", "f", block=3),
    ToolCallArguments(0, '{"a": ', 3),
    ToolCallArguments(0, "1}", 3),
    Finish("tool_calls"),
    UsageDelta(Usage(115, 7, 100, 10, extra_dialect="anthropic_messages")),
]


def test_a_stream_means_the_same_whole_split_and_reencoded() -> None:
    assert stream([STREAM]) == EXPECTED
    assert stream([STREAM[i : i + 1] for i in range(len(STREAM))]) == EXPECTED
    encoder = FORMAT.new_encoder(decode({}))
    again = b"".join(encoder.encode((delta,)) for delta in EXPECTED) + encoder.finish()
    assert stream([again]) == EXPECTED


def test_interleaved_tool_calls_of_other_vendors_come_out_one_after_another() -> None:
    deltas: tuple[Delta, ...] = (
        Start("i", "m"),
        TextDelta("so", 1),
        ToolCallStart(0, "c0", "f", block=3),
        ToolCallArguments(0, '{"a":', 3),
        ToolCallStart(1, "c1", "g", block=4),
        ToolCallArguments(1, "{}", 4),
        ToolCallArguments(0, "1}", 3),
        Finish("tool_calls"),
    )
    encoder = FORMAT.new_encoder(decode({}))
    seen = stream([encoder.encode(deltas) + encoder.finish()])
    for index, expected in ((0, '{"a":1}'), (1, "{}")):
        fragments = [d.fragment for d in seen if isinstance(d, ToolCallArguments) and d.index == index]
        assert "".join(fragments) == expected


def test_a_cut_stream_never_looks_complete() -> None:
    for cut in range(1, len(STREAM) - 60, 11):
        with pytest.raises(StreamInterrupted):
            stream([STREAM[:cut]])


def test_an_error_event_is_raised_with_its_reason() -> None:
    data = sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    with pytest.raises(UpstreamError, match="the provider answered 529") as raised:
        stream([data])
    assert raised.value.upstream_status == 529
    assert str(raised.value.__cause__) == "Overloaded"  # a fault of its own: for the log alone


def test_a_whole_answer_is_written_back_the_same() -> None:
    content = (Thinking("t", "s"), Text("a"), ToolCall("c", "f", '{"a":1}'))
    response = ChatResponse(
        id="i", model="m", choices=(Choice(content, "stop", stop_sequence="X"),), usage=Usage(10, 4, 3, 2)
    )
    again = FORMAT.decode_response(FORMAT.encode_response(response))
    assert again.choices[0].content == content
    assert (again.choices[0].finish_reason, again.choices[0].stop_sequence) == ("stop", "X")
    assert again.usage is not None
    assert (again.usage.input_tokens, again.usage.cached_tokens, again.usage.cache_write_tokens) == (10, 3, 2)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body)
    assert refused.value.param == param


def test_a_tool_of_another_dialect_is_described_and_one_of_its_own_sent_as_it_is() -> None:
    shell, own = {"type": "local_shell"}, {"type": "bash_20250124", "name": "bash"}
    tools = (
        Tool("local_shell", parameters={"type": "object"}, dialect="openai_responses", native=shell),
        Tool("bash", dialect="anthropic_messages", native=own),
        Tool("f", parameters={"type": "object"}, dialect="anthropic_messages"),
    )
    body = FORMAT.encode_request(canonical(tools=tools), [])
    assert body["tools"] == [
        {"name": "local_shell", "input_schema": {"type": "object"}},
        own,
        {"name": "f", "input_schema": {"type": "object"}},
    ]
