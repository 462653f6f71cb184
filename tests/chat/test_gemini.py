"""Gemini in both directions: cases, generated requests, streams, and recorded traffic where it is at hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intellirouter.chat.delta import (
    Delta,
    Finish,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.gemini.format import ARRAY_FORMAT, FORMAT
from intellirouter.chat.gemini.request import plain_schema
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, ToolChoice
from intellirouter.chat.parts import Image, Text, Thinking, ToolCall, ToolResult
from intellirouter.errors import InvalidRequest, StreamInterrupted, UpstreamAuthFailed, UpstreamRateLimited
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.providers.google import ADAPTER

TURN = [{"role": "user", "parts": [{"text": "x"}]}]


def decode(body: dict[str, Any]) -> ChatRequest:
    return FORMAT.decode_request({"model": "m", "contents": TURN, **body}, {})


FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"generationConfig": {"temperature": 0.5}}, "temperature", 0.5),
    ({"generationConfig": {"maxOutputTokens": 5}}, "max_tokens", 5),
    ({"generationConfig": {"topK": 3}}, "top_k", 3),
    ({"generationConfig": {"stopSequences": ["a"]}}, "stop", ("a",)),
    ({"generationConfig": {"responseMimeType": "application/json"}}, "output", OutputFormat("json")),
    (
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 9, "includeThoughts": True}}},
        "reasoning",
        Reasoning(budget_tokens=9, include=True),
    ),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
        "tool_choice",
        ToolChoice("named", "f"),
    ),
    ({"safetySettings": [{"category": "c"}]}, "extra", {"safetySettings": [{"category": "c"}]}),
]


@pytest.mark.parametrize(("body", "field", "expected"), FIELDS)
def test_a_field_is_read_and_written_back_the_same(body: dict[str, Any], field: str, expected: Any) -> None:
    request = decode(body)
    assert getattr(request, field) == expected
    written = FORMAT.encode_request(request.changed(), [])
    assert {key: written.get(key) for key in body} == body


def test_snake_case_means_the_same_as_camel_case() -> None:
    snake = decode({"generation_config": {"max_output_tokens": 7, "thinking_config": {"thinking_budget": 0}}})
    assert snake.max_tokens == 7
    assert snake.reasoning == Reasoning(mode="disabled")


def test_signatures_thoughts_calls_and_results_survive_a_turn() -> None:
    contents = [
        {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": "s1"},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"},
                {"text": "", "thoughtSignature": "s3"},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"b": 2}}}]},
    ]
    request = decode({"contents": contents})
    thought, call, end = request.messages[1].content
    assert isinstance(call, ToolCall)
    assert thought == Thinking("hm", "s1", signer="google")
    assert (call.name, call.arguments, call.signature) == ("f", '{"a":1}', "s2")
    assert end == Text("", signature="s3")
    result = request.messages[2].content[0]
    assert isinstance(result, ToolResult)
    assert result.call_id == call.id
    assert FORMAT.encode_request(request.changed(), [])["contents"] == contents
    del contents[1]["parts"][2]["text"]  # as Google sends it at the end of a stream
    assert decode({"contents": contents}).messages[1].content[2] == end


def test_a_conversation_of_another_vendor_goes_out_as_google_wants_it() -> None:
    request = ChatRequest(
        model="gemini-3-pro",
        messages=(
            Message("system", (Text("be kind"),)),
            Message("user", (Image(url="https://x/y.png"),)),
            Message("assistant", (ToolCall("call_1", "f", "{}"), ToolCall("call_2", "g", "{}"))),
            Message("tool", (ToolResult("call_1", (Text("sunny"),)),)),
            Message("tool", (ToolResult("call_2", (Text("bad"),), is_error=True),)),
        ),
    )
    body = FORMAT.encode_request(request, [])
    assert body["systemInstruction"] == {"parts": [{"text": "be kind"}]}
    model, results = body["contents"][1:]
    assert "thoughtSignature" in model["parts"][0]
    assert "thoughtSignature" not in model["parts"][1]
    responses = [part["functionResponse"] for part in results["parts"]]
    assert [(r["name"], r["response"]) for r in responses] == [
        ("f", {"result": "sunny"}),
        ("g", {"error": "bad"}),
    ]


def test_googles_schema_becomes_json_schema() -> None:
    schema = {"type": "OBJECT", "properties": {"any_of": {"type": "STRING", "nullable": True}}}
    assert plain_schema(schema) == {"type": "object", "properties": {"any_of": {"type": ["string", "null"]}}}


@pytest.mark.parametrize(
    "body",
    [
        {"contents": []},
        {"contents": [{"role": "robot", "parts": []}]},
        {"contents": [{"parts": "x"}]},
        {"generationConfig": {"temperature": "hot"}},
        {"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}},
    ],
)
def test_what_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        decode(body)


def sse(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)


def candidate(*parts: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    return {
        "candidates": [found | ({"finishReason": finish} if finish else {})],
        "responseId": "r",
        "modelVersion": "m",
    }


STREAM = sse(
    candidate({"text": "grüß", "thought": True}),
    candidate({"text": "a"}),
    candidate({"text": "b", "thoughtSignature": "s"}),
    candidate({"functionCall": {"name": "f", "args": {}}}, finish="STOP")
    | {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 4}},
)


def deltas_of(pieces: list[bytes]) -> list[Delta]:
    parser = ADAPTER.new_stream()
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    return [delta for event in events for delta in event.deltas]


def test_a_stream_means_the_same_whole_and_split_at_each_byte() -> None:
    whole = deltas_of([STREAM])
    assert deltas_of([STREAM[i : i + 1] for i in range(len(STREAM))]) == whole
    assert whole[1:4] == [
        ThinkingDelta("grüß", 0),
        TextDelta("a", 1),
        TextDelta("b", 1, signature="s"),
    ]
    assert whole[4:6] == [
        ToolCallStart(0, "call_gemini_r_0", "f", block=2),
        ToolCallArguments(0, "{}", block=2),
    ]
    assert whole[6] == Finish("tool_calls", detail="STOP")
    usage = whole[7]
    assert isinstance(usage, UsageDelta)
    assert (usage.usage.input_tokens, usage.usage.output_tokens, usage.usage.reasoning_tokens) == (3, 6, 4)


def test_a_cut_stream_never_looks_complete() -> None:
    last = STREAM.rindex(b"data: ")
    for end in range(last + 7):
        with pytest.raises(StreamInterrupted):
            deltas_of([STREAM[:end]])


def test_a_stream_is_written_as_events_and_as_one_array() -> None:
    deltas = tuple(deltas_of([STREAM]))
    events = FORMAT.new_encoder(decode({}))
    again = deltas_of([events.encode(deltas) + events.finish()])
    assert [d for d in again if not isinstance(d, UsageDelta)] == [
        d for d in deltas if not isinstance(d, UsageDelta)
    ]
    array = ARRAY_FORMAT.new_encoder(decode({}))
    chunks = json.loads(array.encode(deltas) + array.finish())
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"]["thoughtsTokenCount"] == 4


def test_a_blocked_prompt_is_a_content_filter() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}}
    choice = FORMAT.decode_response(json.dumps(body).encode()).choices[0]
    assert (choice.finish_reason, choice.finish_detail) == ("content_filter", "SAFETY")
    assert any(isinstance(d, Finish) and d.reason == "content_filter" for d in deltas_of([sse(body)]))


def test_errors_say_what_a_router_can_do() -> None:
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}
    limited = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow", "details": [delay]}}
    error = ADAPTER.parse_error(HttpResponse(429, {}, json.dumps(limited).encode()), "g")
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after == 17
    bad_key = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}
    assert isinstance(
        ADAPTER.parse_error(HttpResponse(400, {}, json.dumps(bad_key).encode()), "g"), UpstreamAuthFailed
    )


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-x", "models/gemini-x"),
        ("models/gemini-x", "models/gemini-x"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("publishers/google/models/x@001", "publishers/google/models/x@001"),
        ("x:batchEmbedContents?a=b#", "models/x%3AbatchEmbedContents%3Fa%3Db%23"),
        ("x%2f..", "models/x%252f.."),
        ("x\x00\r\n", "models/x%00%0D%0A"),
    ],
)
def test_a_model_name_cannot_lead_to_another_endpoint(model: str, path: str) -> None:
    built = ADAPTER.build_chat(decode({}), Target("p", model, "https://host/v1beta"))
    assert built.url == f"https://host/v1beta/{path}:generateContent"


@pytest.mark.parametrize("model", ["../files", "models/../../v1/files", "a//b", "./x", "x/"])
def test_a_model_name_that_climbs_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequest):
        ADAPTER.build_chat(decode({}), Target("p", model, "https://host/v1beta"))


@pytest.mark.parametrize(
    ("model", "reasoning", "config", "noted"),
    [
        (
            "gemini-2.5-flash",
            Reasoning(budget_tokens=31_999),
            {"thinkingBudget": 24_576},
            "was sent as 24576",
        ),
        ("gemini-2.5-pro", Reasoning(budget_tokens=31_999), {"thinkingBudget": 31_999}, ""),
        ("gemini-2.5-pro", Reasoning("none"), {"thinkingBudget": 128}, "always thinks"),
        ("gemini-2.5-flash-lite", Reasoning(budget_tokens=100), {"thinkingBudget": 512}, "was sent as 512"),
        ("gemini-2.5-flash", Reasoning(mode="disabled"), {"thinkingBudget": 0}, ""),
        ("models/gemini-2.5-flash", Reasoning("xhigh"), {"thinkingBudget": 24_576}, "budget of 24576"),
        ("gemini-2.0-flash", Reasoning("low"), None, "does not think"),
        ("gemini-2.0-flash", Reasoning("none"), None, ""),
        ("gemini-3-pro-preview", Reasoning("medium"), {"thinkingLevel": "high"}, "level 'high'"),
        ("gemini-3.1-pro-preview", Reasoning("medium"), {"thinkingLevel": "medium"}, ""),
        ("gemini-3.5-flash", Reasoning("none"), {"thinkingLevel": "minimal"}, "always thinks"),
        ("gemini-3.8-flash", Reasoning("minimal"), {"thinkingLevel": "low"}, "level 'low'"),
        ("gemini-3.8-flash", Reasoning(mode="disabled"), {"thinkingLevel": "low"}, "always thinks"),
        ("gemini-flash-latest", Reasoning("max"), {"thinkingLevel": "high"}, "level 'high'"),
        ("gemini-4-argon", Reasoning(budget_tokens=5_000), {"thinkingLevel": "medium"}, "level 'medium'"),
        ("gemini-3.6-flash", Reasoning(mode="adaptive"), {"includeThoughts": True}, ""),
    ],
)
def test_each_model_is_told_how_much_to_think_in_the_way_it_takes(
    model: str, reasoning: Reasoning, config: dict[str, Any] | None, noted: str
) -> None:
    notes: list[str] = []
    request = ChatRequest(model=model, messages=(Message("user", (Text("x"),)),), reasoning=reasoning)
    body = FORMAT.encode_request(request, notes)
    assert (body.get("generationConfig") or {}).get("thinkingConfig") == config
    assert noted in " ".join(notes)
    assert bool(notes) is bool(noted)
