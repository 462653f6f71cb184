"""OpenAI's Responses, both directions: nothing a client or vendor said is lost."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from intellirouter.chat.anthropic_messages.format import FORMAT as ANTHROPIC
from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    OpaqueDelta,
    RedactedThinkingDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from intellirouter.chat.openai_chat.format import FORMAT as CHAT
from intellirouter.chat.openai_responses.format import FORMAT
from intellirouter.chat.openai_responses.usage import decode_usage
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
from intellirouter.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    StreamInterrupted,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from intellirouter.providers import responses
from intellirouter.providers.adapter import Target
from intellirouter.providers.stream import sse_parser

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def decode(body: dict[str, Any]) -> ChatRequest:
    return FORMAT.decode_request({"model": "m", "input": "x", **body}, {})


PNG = "data:image/png;base64,aGk="
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
CITED = {"type": "url_citation", "start_index": 0, "end_index": 1, "url": "https://x", "title": "t"}
ITEMS: list[tuple[list[dict[str, Any]], tuple[Message, ...]]] = [
    ([{"role": "user", "content": "hi"}], (Message("user", (Text("hi"),)),)),
    ([{"role": "developer", "content": "be brief"}], (Message("developer", (Text("be brief"),)),)),
    (
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": PNG, "detail": "low"},
                    {"type": "input_image", "file_id": "file_1"},
                    {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,aGk=",
                    },
                    {"type": "input_file", "file_url": "https://x/a.pdf"},
                    {"type": "novelty", "x": 1},
                ],
            }
        ],
        (
            Message(
                "user",
                (
                    Text("a"),
                    Image(media_type="image/png", data="aGk=", detail="low"),
                    Image(file_id="file_1"),
                    Audio("aGk=", "mp3"),
                    File(data="aGk=", media_type="application/pdf", filename="a.pdf"),
                    File(url="https://x/a.pdf"),
                    Opaque("openai_responses", {"type": "novelty", "x": 1}),
                ),
            ),
        ),
    ),
    (
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "hm"}],
                "encrypted_content": "gAAA",
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "so", "annotations": [CITED]},
                    {"type": "refusal", "refusal": "no"},
                ],
                "phase": "commentary",
            },
            SEARCH,
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1 }'},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "free text"},
            {"type": "function_call_output", "call_id": "c1", "output": "42"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [{"type": "input_image", "image_url": "https://x/y"}],
            },
        ],
        (
            Message(
                "assistant",
                (
                    Thinking("hm", encrypted="gAAA", id="rs_1"),
                    Text(
                        "so",
                        annotations=(
                            {
                                "type": "url_citation",
                                "url_citation": {k: v for k, v in CITED.items() if k != "type"},
                            },
                        ),
                    ),
                    Refusal("no"),
                    Opaque("openai_responses", SEARCH),
                    ToolCall("c1", "f", '{"a": 1 }'),
                    ToolCall("c2", "g", "free text", "custom"),
                ),
                extra={"phase": "commentary"},
            ),
            Message("tool", (ToolResult("c1", (Text("42"),)),)),
            Message("tool", (ToolResult("c2", (Image(url="https://x/y"),), kind="custom"),)),
        ),
    ),
]


@pytest.mark.parametrize(("items", "expected"), ITEMS)
def test_items_are_read_and_written_back_the_same(
    items: list[dict[str, Any]], expected: tuple[Message, ...]
) -> None:
    request = decode({"input": items})
    assert request.messages == expected
    notes: list[str] = []
    assert FORMAT.encode_request(request.changed(), notes)["input"] == items
    assert not notes


FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"max_output_tokens": 50}, "max_tokens", 50),
    ({"temperature": 0.5}, "temperature", 0.5),
    ({"top_p": 0.5}, "top_p", 0.5),
    ({"top_logprobs": 3}, "logprobs", True),
    ({"reasoning": {"effort": "high"}}, "reasoning", Reasoning(effort="high")),
    (
        {"reasoning": {"effort": "low", "summary": "auto"}},
        "reasoning",
        Reasoning("low", summary="auto", include=True),
    ),
    ({"reasoning": {"effort": "extreme", "mode": "x"}}, "reasoning", None),
    ({"text": {"format": {"type": "json_object"}}}, "output", OutputFormat("json")),
    ({"text": {"verbosity": "low", "new": 1}}, "verbosity", "low"),
    (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
        "output",
        OutputFormat("json_schema", {"a": 1}, "n", strict=True),
    ),
    ({"tool_choice": "required"}, "tool_choice", ToolChoice("required")),
    ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", ToolChoice("named", "f")),
    (
        {
            "tools": [{"type": "web_search"}, {"type": "custom", "name": "g"}],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "web_search"}, {"type": "custom", "name": "g"}],
            },
        },
        "tool_choice",
        ToolChoice("allowed", names=("web_search", "g")),
    ),
    (
        {
            "tools": [
                {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
                {"type": "custom", "name": "g", "description": "d", "format": {"type": "text"}},
                {"type": "web_search", "search_context_size": "low"},
                {"type": "function", "name": "h", "defer_loading": True},
            ]
        },
        "tools",
        (
            Tool("f", parameters={"type": "object"}, strict=True),
            Tool("g", "custom", "d", format={"type": "text"}),
            Tool(
                "web_search",
                "builtin",
                dialect="openai_responses",
                data={"type": "web_search", "search_context_size": "low"},
            ),
            Tool("h", dialect="openai_responses", data={"defer_loading": True}),
        ),
    ),
    ({"parallel_tool_calls": False}, "parallel_tool_calls", False),
    ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
    ({"service_tier": "flex"}, "service_tier", "flex"),
    ({"store": False}, "store", False),
    ({"prompt_cache_key": "k"}, "prompt_cache_key", "k"),
    ({"include": ["reasoning.encrypted_content"]}, "extra", {"include": ["reasoning.encrypted_content"]}),
    ({"truncation": "auto"}, "extra", {"truncation": "auto"}),
    ({"a_new_field": [1]}, "extra", {"a_new_field": [1]}),
]


@pytest.mark.parametrize(("body", "field", "expected"), FIELDS)
def test_a_field_is_read_and_written_back_the_same(body: dict[str, Any], field: str, expected: Any) -> None:
    request = decode(body)
    assert getattr(request, field) == expected
    written = FORMAT.encode_request(request.changed(), [])
    assert {key: written.get(key) for key in body} == body


def test_instructions_come_first_and_a_string_is_the_users() -> None:
    request = decode({"instructions": "be brief"})
    assert request.messages == (Message("system", (Text("be brief"),)), Message("user", (Text("x"),)))
    written = FORMAT.encode_request(request.changed(), [])
    assert (written["instructions"], written["input"]) == ("be brief", [{"role": "user", "content": "x"}])


def test_the_body_goes_on_as_it_came_to_a_vendor_of_the_same_dialect() -> None:
    body = {"instructions": "i", "unknown": {"x": [1]}, "tools": [{"type": "mcp", "server_label": "s"}]}
    request = decode({**body, "stream": True, "persona": "p"}).routed(model="n")
    sent = responses.build_chat(request, Target("p", "n", "https://x/v1"))
    assert json.loads(sent.body) == {"model": "n", "input": "x", "stream": True, **body}
    assert sent.url == "https://x/v1/responses"


@pytest.mark.parametrize(
    "body",
    [
        {"input": None},
        {"input": []},
        {"input": 5},
        {"input": ["x"]},
        {"input": [{"content": "x"}]},
        {"input": [{"role": "robot", "content": "x"}]},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        {"tool_choice": "maybe"},
        {"tools": [{"type": "function"}]},
        {"text": {"format": {"type": "xml"}}},
        {"reasoning": "high"},
        {"stream": "yes"},
        {"max_output_tokens": 0},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body)
    assert refused.value.param


def test_a_chat_client_is_translated_without_being_made_stricter_or_stored() -> None:
    chat = CHAT.decode_request(
        {
            "model": "m",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "reasoning_effort": "low",
            "seed": 5,
            "stop": ["a"],
        },
        {},
    )
    notes: list[str] = []
    body = FORMAT.encode_request(chat, notes)
    assert body == {
        "model": "m",
        "instructions": "s",
        "input": [{"role": "user", "content": "u"}],
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ],
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    assert len(notes) == 2
    with pytest.raises(InvalidRequest):
        FORMAT.encode_request(chat.changed(n=2), [])


words = st.text(max_size=30)
said = st.text(min_size=1, max_size=30)
parts = st.one_of(
    st.builds(Text, words),
    st.builds(Image, url=st.just("https://example.org/a.png"), detail=st.sampled_from([None, "low"])),
    st.builds(Image, media_type=st.just("image/png"), data=st.just("aGk=")),
)
turn_parts = st.one_of(
    st.builds(ToolCall, st.text("abc", min_size=1), st.text("fgh", min_size=1), words.filter(bool)),
    st.builds(
        ToolCall, st.text("abc", min_size=1), st.text("fgh", min_size=1), words, kind=st.just("custom")
    ),
    st.builds(Text, words),
    st.builds(Refusal, words),
    st.builds(Thinking, words, encrypted=st.text("gA"), id=st.none() | st.text("rs", min_size=1)),
)
asked = st.one_of(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "developer"]),
        st.lists(parts, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(lambda i, t: Message("tool", (ToolResult(i, (Text(t),)),)), st.text("xyz", min_size=1), words),
)
answered = st.builds(Message, st.just("assistant"), st.lists(turn_parts, min_size=1, max_size=4).map(tuple))
conversations = st.lists(st.tuples(asked, answered), min_size=1, max_size=3).map(
    lambda turns: tuple(message for turn in turns for message in turn)
)
requests = st.builds(
    ChatRequest,
    model=st.text("m-", min_size=1),
    messages=conversations,
    max_tokens=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])),
    tools=st.lists(
        st.builds(
            Tool, st.text("fgh", min_size=1), description=st.none() | words, strict=st.none() | st.booleans()
        ),
        max_size=2,
    ).map(tuple),
    reasoning=st.none() | st.builds(Reasoning, effort=st.sampled_from(["low", "high"])),
    output=st.none() | st.builds(OutputFormat, st.sampled_from(["text", "json"])),
    verbosity=st.none() | st.just("low"),
    user=st.none() | words,
    store=st.none() | st.booleans(),
    include_usage=st.just(True),
    extra_dialect=st.just("openai_responses"),
)


@given(requests)
@settings(max_examples=200, deadline=None)
def test_canonical_to_the_dialect_and_back_is_the_identity(request: ChatRequest) -> None:
    body = msgspec.json.decode(msgspec.json.encode(FORMAT.encode_request(request, [])))
    assert FORMAT.decode_request(body, {}).changed() == request


def stream(chunks: list[bytes], ends: bool = True) -> list[Delta]:
    parser = sse_parser(FORMAT.new_decoder())
    events = [event for piece in chunks for event in parser.feed(piece)]
    if ends:
        events += parser.close()
    return [delta for event in events for delta in event.deltas]


def encoded(deltas: list[Delta], request: ChatRequest | None = None) -> bytes:
    encoder = FORMAT.new_encoder(request or decode({"stream": True}))
    return b"".join([encoder.encode((delta,)) for delta in deltas]) + encoder.finish()


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events, each checked: its name, its number, and that the SDK knows every field's type."""
    events = []
    for number, block in enumerate(data.decode().split("\n\n")[:-1]):
        name, _, payload = block.removeprefix("event: ").partition("\ndata: ")
        body = json.loads(payload)
        assert (body["type"], body["sequence_number"]) == (name, number)
        EVENT.validate_python(body)
        events.append(body)
    return events


START = Start(id="resp_1", model="m", created=1)
USAGE = UsageDelta(Usage(5, 2, cached_tokens=1, cache_write_tokens=0, reasoning_tokens=1))
NOTE = {"type": "url_citation", "url_citation": {k: v for k, v in CITED.items() if k != "type"}}
_BEGIN, _END = ["created", "in_progress"], ["completed"]
_PART = ["output_item.added", "content_part.added"]
_PART_DONE = ["content_part.done", "output_item.done"]
STREAMS: list[tuple[str, list[Delta], list[str]]] = [
    (
        "text",
        [START, TextDelta("hé"), TextDelta("llo"), AnnotationDelta(NOTE), Finish("stop")],
        [*_BEGIN, *_PART, *["output_text.delta"] * 2, "output_text.annotation.added", "output_text.done",
         *_PART_DONE, *_END],
    ),
    (
        "two texts are two parts of one message, a refusal a third",
        [START, TextDelta("a"), TextDelta("b", 1), RefusalDelta("no", 2), Finish("stop")],
        [*_BEGIN, *_PART, "output_text.delta", "output_text.done", "content_part.done",
         "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
         "content_part.added", "refusal.delta", "refusal.done", *_PART_DONE, *_END],
    ),
    (
        "thoughts, then a call, arguments byte for byte",
        [
            START,
            ThinkingDelta("hm", id="rs_1"),
            ThinkingDelta("", encrypted="gAAA", id="rs_1"),
            ToolCallStart(0, "c0", "f", block=1),
            ToolCallArguments(0, '{"a":', 1),
            ToolCallArguments(0, ' "é"}', 1),
            Finish("tool_calls"),
        ],
        [*_BEGIN, "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
         "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
         "output_item.added", *["function_call_arguments.delta"] * 2, "function_call_arguments.done",
         "output_item.done", *_END],
    ),
    (
        "parallel calls whose arguments interleave, one of them custom",
        [
            START,
            ToolCallStart(0, "c0", "f"),
            ToolCallArguments(0, "{"),
            ToolCallStart(1, "c1", "g", "custom", 1),
            ToolCallArguments(1, "free", 1),
            ToolCallArguments(0, "}"),
            Finish("tool_calls"),
        ],
        [*_BEGIN, "output_item.added", "function_call_arguments.delta", "output_item.added",
         "custom_tool_call_input.delta", "function_call_arguments.delta", "function_call_arguments.done",
         "output_item.done", "custom_tool_call_input.done", "output_item.done", *_END],
    ),
    (
        "thoughts another vendor signed or hid, and a tool it ran",
        [
            START,
            ThinkingDelta("hm"),
            ThinkingDelta("", signature="c2ln"),
            RedactedThinkingDelta("enp6", 1),
            OpaqueDelta("openai_responses", SEARCH, 2),
            TextDelta("so", 3),
            Finish("length", detail="max_output_tokens"),
        ],
        [*_BEGIN, "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
         "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
         "output_item.added", "output_item.done", "output_item.added", "web_search_call.in_progress",
         "web_search_call.searching", "web_search_call.completed", "output_item.done", *_PART, "output_text.delta", "output_text.done",
         *_PART_DONE, "incomplete"],
    ),
]  # fmt: skip


def plain(deltas: list[Delta]) -> list[Delta]:
    """What was said, without what only the framing adds: the details of usage, and the ids of items."""
    kept: list[Delta] = []
    for delta in deltas:
        if isinstance(delta, UsageDelta):
            usage = msgspec.structs.replace(delta.usage, extra={}, extra_dialect=None)
            kept.append(UsageDelta(usage))
        elif not isinstance(delta, ThinkingDelta):
            kept.append(delta)
        elif delta.text or delta.encrypted or delta.signature:
            kept.append(delta if delta.encrypted else msgspec.structs.replace(delta, id=None))
    return kept


@pytest.mark.parametrize(("deltas", "order"), [c[1:] for c in STREAMS], ids=[c[0] for c in STREAMS])
def test_a_stream_has_every_event_in_order_and_means_the_same_whole_and_split(
    deltas: list[Delta], order: list[str]
) -> None:
    data = encoded([*deltas, USAGE])
    events = events_of(data)
    assert [event["type"].removeprefix("response.") for event in events] == order
    assert plain(stream([data])) == plain([*deltas, USAGE])
    assert stream([data[i : i + 1] for i in range(len(data))]) == stream([data])
    last = events[-1]["response"]
    Response.model_validate(last, strict=True)
    assert last["output"] == [e["item"] for e in sorted(
        (e for e in events if e["type"] == "response.output_item.done"), key=lambda e: e["output_index"]
    )]  # fmt: skip
    assert last["usage"]["input_tokens_details"] == {"cached_tokens": 1, "cache_write_tokens": 0}
    spoken = [item["status"] for item in last["output"] if item["type"] == "message"]
    assert set(spoken) <= {last["status"]}, "words that were cut off are no whole message"


@pytest.mark.parametrize("deltas", [c[1] for c in STREAMS], ids=[c[0] for c in STREAMS])
def test_a_cut_stream_never_looks_complete(deltas: list[Delta]) -> None:
    data = encoded(deltas)
    for cut in range(1, data.rindex(b"event: "), 7):
        with pytest.raises((StreamInterrupted, UpstreamError)):
            stream([data[:cut]])


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "server_error", "message": "overloaded today"}, UpstreamUnavailable),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "overloaded today"}},
         UpstreamRateLimited),
        ({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded",
          "message": "overloaded today"}}}, ContextLengthExceeded),
        ({"type": "response.failed", "response": {"error": {"code": "server_error",
          "message": "overloaded today"}}}, UpstreamUnavailable),
    ],
)  # fmt: skip
def test_an_error_inside_a_stream_is_raised_with_its_reason(
    event: dict[str, Any], kind: type[UpstreamError]
) -> None:
    begun = encoded([START, TextDelta("a"), Finish("stop")]).partition(b"event: response.output_text.done")[0]
    with pytest.raises(kind) as caught:
        stream([begun + b"data: " + json.dumps(event).encode() + b"\n\n"])
    assert "overloaded today" in f"{caught.value} {caught.value.__cause__}"


def test_a_stream_that_breaks_ends_with_the_error_and_a_failed_response() -> None:
    encoder = FORMAT.new_encoder(decode({"stream": True}))
    data = encoder.encode((START, TextDelta("a"))) + encoder.error(StreamInterrupted("it broke"))
    events = events_of(data)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["message"] == events[-2]["error"]["message"] == "it broke"
    assert events[-1]["response"]["error"] == {"code": "server_error", "message": "it broke"}


def answer(*parts: Any, reason: Any = "stop", detail: str | None = None) -> ChatResponse:
    return ChatResponse(
        id="i",
        model="m",
        created=5,
        choices=(Choice(parts, reason, detail),),
        usage=Usage(3, 4, cached_tokens=1),
    )


@pytest.mark.parametrize(
    "response",
    [
        answer(Thinking("t", "c2ln"), RedactedThinking("enp6"), Text("a"), Text("b"), Refusal("no")),
        answer(Thinking("t", encrypted="gA", id="rs_9"), ToolCall("c", "f", "{ }"), reason="tool_calls"),
        answer(ToolCall("c", "f", "free", "custom"), Text("a", annotations=(NOTE,)), reason="tool_calls"),
        answer(ToolCall("c", "f", "{}", signature="c2ln"), reason="tool_calls"),
        answer(Text("a"), reason="length", detail="max_output_tokens"),
        answer(Text("a"), reason="content_filter", detail="content_filter"),
        answer(Thinking("plain"), Opaque("openai_responses", SEARCH), Text("a")),
    ],
)
def test_a_whole_answer_is_written_back_the_same(response: ChatResponse) -> None:
    body = FORMAT.encode_response(response)
    Response.model_validate_json(body)
    again = FORMAT.decode_response(body)
    assert again.choices == response.choices
    assert again.usage is not None
    assert (again.usage.input_tokens, again.usage.cached_tokens, again.usage.total_tokens) == (3, 1, 7)


def test_thoughts_anthropic_signed_come_back_through_a_client_of_items() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "First.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "enp6"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]
    told = {"id": "msg_1", "model": "c", "content": blocks, "stop_reason": "tool_use", "usage": {}}
    output = json.loads(FORMAT.encode_response(ANTHROPIC.decode_response(json.dumps(told).encode())))[
        "output"
    ]
    items = [*output, {"type": "function_call_output", "call_id": "toolu_1", "output": "ok"}]
    request = decode({"input": [{"role": "user", "content": "x"}, *items]})
    notes: list[str] = []
    assert ANTHROPIC.encode_request(request, notes)["messages"][1]["content"] == blocks
    assert notes == []
    sent = FORMAT.encode_request(request, notes)["input"]
    assert [item["type"] for item in sent[1:]] == ["message", "function_call", "function_call_output"]
    assert len(notes) == 1


def recorded() -> list[dict[str, Any]]:
    with gzip.open(RECORDINGS / "openai.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [row for line in lines if (row := json.loads(line))["path"] == "/v1/responses"]


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recorded vendor traffic is not beside this clone")
def test_every_recorded_stream_is_told_on_in_events_that_the_client_knows() -> None:
    streams = [row for row in recorded() if row["stream"] and row["status"] < 300]
    assert len(streams) > 50
    for row in streams:
        deltas = stream([row["response"]["text"].encode()])
        if not any(isinstance(delta, OpaqueDelta) for delta in deltas):  # some are older than the SDK's types
            events_of(encoded(deltas))


def test_what_else_a_vendor_counts_is_kept() -> None:
    usage = decode_usage({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost": 0.5})
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total, usage.extra) == (1, 2, None, {"cost": 0.5})


@pytest.mark.parametrize("first", [(), (TextDelta("I look."),)], ids=["alone", "after words"])
def test_a_calls_signature_is_an_item_of_its_own_before_it(first: tuple[Delta, ...]) -> None:
    """Google's, which must come back with the call."""
    request = FORMAT.decode_request({"model": "m", "input": "Hi"}, {})
    encoder = FORMAT.new_encoder(request)
    told = encoder.encode((Start("r", "m"), *first, ToolCallStart(0, "c", "f", block=1, signature="c2ln")))
    told += encoder.encode((ToolCallArguments(0, "{}"), Finish("tool_calls"))) + encoder.finish()
    events = [json.loads(line[6:]) for line in told.decode().splitlines() if line.startswith("data: {")]
    ended = [
        (event["output_index"], event["item"]["type"])
        for event in events
        if event["type"] == "response.output_item.done"
    ]
    kinds = [*(["message"] if first else []), "reasoning", "function_call"]
    assert ended == list(enumerate(kinds))
    assert [item["type"] for item in events[-1]["response"]["output"]] == kinds
