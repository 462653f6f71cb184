"""What a client of each dialect is told of an answer: why it ended, what it cost, what was thought, whole and streamed.

A stream is written from the answer's own deltas, so a table of answers serves for both.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

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
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_completions import format as openai_completions
from intellirouter.chat.parts import Part, RedactedThinking, Text, Thinking, ToolCall, Vendor
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.chat.sealed_thoughts import signature_for
from intellirouter.chat.wire import WireFormat
from tests.chat.round_trips.pieces import SIGNERS
from tests.conformance.dialects.said import FRONTS as REQUEST_FRONTS
from tests.providers.recorded.readers import READERS, Told, events_of

FRONTS = {**REQUEST_FRONTS, "completions": openai_completions.FORMAT}
ENDS: dict[FinishReason, dict[str, str]] = {
    "stop": {
        "chat": "stop",
        "responses": "completed",
        "messages": "end_turn",
        "gemini": "STOP",
        "ollama": "stop",
        "completions": "stop",
    },
    "length": {
        "chat": "length",
        "responses": "max_output_tokens",
        "messages": "max_tokens",
        "gemini": "MAX_TOKENS",
        "ollama": "length",
        "completions": "length",
    },
    "tool_calls": {
        "chat": "tool_calls",
        "responses": "called",
        "messages": "tool_use",
        "gemini": "STOP",
        "ollama": "stop",
    },
    "content_filter": {
        "chat": "content_filter",
        "responses": "content_filter",
        "messages": "refusal",
        "gemini": "SAFETY",
        "ollama": "stop",
        "completions": "content_filter",
    },
    "refusal": {
        "chat": "content_filter",
        "responses": "content_filter",
        "messages": "refusal",
        "gemini": "SAFETY",
        "ollama": "stop",
        "completions": "content_filter",
    },
    "pause": {
        "chat": "stop",
        "responses": "completed",
        "messages": "pause_turn",
        "gemini": "STOP",
        "ollama": "stop",
        "completions": "stop",
    },
}
USAGE = Usage(100, 50, cached_tokens=30, cache_write_tokens=20, reasoning_tokens=40)
CALL = ToolCall("call_1", "f", '{"city":"Bönn"}')


def answered(reason: FinishReason = "stop", *content: Part, usage: Usage | None = USAGE) -> ChatResponse:
    parts = content or ((Text("Hm."), CALL) if reason == "tool_calls" else (Text("Hm."),))
    return ChatResponse(id="id-1", model="m-1", choices=(Choice(parts, reason),), usage=usage, created=7)


def deltas_of(answer: ChatResponse) -> list[Delta]:
    """The answer as a vendor would stream it, text and arguments in pieces."""
    deltas: list[Delta] = [Start(answer.id, answer.model, answer.created)]
    (choice,) = answer.choices
    calls = 0
    for block, part in enumerate(choice.content):
        match part:
            case Text():
                deltas += [TextDelta(letter, block) for letter in part.text]
            case Thinking():
                deltas += [ThinkingDelta(letter, block) for letter in part.text]
                deltas.append(
                    ThinkingDelta("", block, 0, part.signature, part.encrypted, part.id, part.signer)
                )
            case RedactedThinking():
                deltas.append(RedactedThinkingDelta(part.data, block))
            case ToolCall():
                deltas.append(ToolCallStart(calls, part.id, part.name, part.kind, block))
                deltas += [ToolCallArguments(calls, letter, block) for letter in part.arguments]
                calls += 1
    deltas.append(Finish(choice.finish_reason or "stop", 0, choice.finish_detail, choice.stop_sequence))
    if answer.usage is not None:
        deltas.append(UsageDelta(answer.usage))
    return deltas


def sent(front: str, answer: ChatResponse, stream: bool) -> bytes:
    """The bytes a client of `front` reads."""
    wire = FRONTS[front]
    return sent_stream(wire, answer) if stream else wire.encode_response(answer)


def sent_stream(wire: WireFormat, answer: ChatResponse) -> bytes:
    """The answer as a stream, a delta at a time."""
    encoder = wire.new_encoder(ChatRequest(model="m", messages=(), stream=True, include_usage=True))
    return b"".join([*[encoder.encode((delta,)) for delta in deltas_of(answer)], encoder.finish()])


def heard(front: str, answer: ChatResponse, stream: bool) -> Told:
    """What it understands of them."""
    return READERS[front](events_of(sent(front, answer, stream)))  # type: ignore[index]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("reason", "front"), [(reason, front) for reason, ends in ENDS.items() for front in ends]
)
def test_why_an_answer_ended(reason: FinishReason, front: str, stream: bool) -> None:
    told = heard(front, answered(reason), stream)
    assert told.finishes == {0: ENDS[reason][front]}
    assert told.text == {0: "Hm."}
    assert (told.model, told.id.removeprefix("resp_")) == ("m-1", "id-1" if front != "ollama" else "")
    if reason == "tool_calls":
        ((name, arguments),) = told.calls[0]
        assert (name, json.loads(arguments) if isinstance(arguments, str) else arguments) == (
            "f",
            {"city": "Bönn"},
        )


# What of the counts a dialect can say: read, written, cached, stored, thought, total.
COUNTS: dict[str, tuple[int | None, ...]] = {
    "chat": (100, 50, 30, 20, 40, 150),
    "responses": (100, 50, 30, 20, 40, 150),
    "messages": (100, 50, 30, 20, 40, None),
    "gemini": (100, 50, 30, None, 40, 150),
    "ollama": (100, 50, None, None, None, None),
    "completions": (100, 50, 30, 20, 40, 150),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("front", COUNTS)
def test_what_it_cost_is_told_once_and_in_full(front: str, stream: bool) -> None:
    body = sent(front, answered(), stream)
    usage = heard(front, answered(), stream).usage
    assert usage is not None
    assert (usage.read, usage.written, usage.cached, usage.stored, usage.thought, usage.total) == COUNTS[
        front
    ]
    if stream:
        final = {
            "chat": b'"usage":{',
            "responses": b'"usage":{',
            "messages": b'"output_tokens":50',
            "gemini": b'"usageMetadata"',
            "ollama": b'"eval_count":50',
            "completions": b'"usage":{',
        }[front]
        assert body.count(final) == 1


@pytest.mark.parametrize("signer", [None, "anthropic", "google"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thoughts_keep_what_their_vendor_needs_back(stream: bool, signer: Vendor | None) -> None:
    thought = Thinking("Let me see.", signature="c2ln", signer=signer)
    thoughts = (thought, RedactedThinking("c2VjcmV0"), Text("Hm."))
    answer = answered("stop", *thoughts)
    # Where a signature would be taken for the dialect's own vendor's, who would refuse it, it is marked as another's.
    sealed = {vendor: (signature_for(vendor, thought) or "").encode() for vendor in SIGNERS}
    assert [vendor for vendor, found in sealed.items() if found == b"c2ln"] == ([signer] if signer else [])
    for front in ("chat", "responses", "messages"):
        wire = FRONTS[front]
        body = sent(front, answer, stream)
        assert (sealed["anthropic"] if front == "messages" else b"c2ln") in body, front
        assert b"c2VjcmV0" in body, front
        if not stream:
            again = wire.decode_response(body)
            assert [part for part in again.choices[0].content if not isinstance(part, Text)] == list(
                thoughts[:2]
            )
    assert sealed["google"] in sent("gemini", answer, stream)
    assert heard("ollama", answer, stream).thoughts == {0: "Let me see."}


def test_openai_seals_go_back_to_openai_by_way_of_any_client_that_keeps_them() -> None:
    answer = answered("stop", Thinking("Let me see.", encrypted="c2VhbA", id="rs_1"), Text("Hm."))
    said: dict[str, Any] = json.loads(FRONTS["chat"].encode_response(answer))["choices"][0]["message"]
    request = FRONTS["chat"].decode_request(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "x"}, said, {"role": "user", "content": "y"}],
        },
        {},
    )
    body = FRONTS["responses"].encode_request(request.changed(), [])
    (item,) = [item for item in body["input"] if item.get("type") == "reasoning"]
    assert (item["id"], item["encrypted_content"]) == ("rs_1", "c2VhbA")
