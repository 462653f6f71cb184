"""Chunks that are not quite of the dialect: what can be read of them is, and what tells of a failure is no end."""

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
from intellirouter.chat.openai_chat.endings import decode_finish
from intellirouter.chat.openai_chat.peek import peek_response
from intellirouter.errors import (
    ContentFiltered,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from intellirouter.providers.adapter import HttpResponse
from intellirouter.providers.table import ADAPTERS

OPENAI = ADAPTERS["openai_compatible"]


def chunk(delta: Any = None, finish: str | None = None, *, index: Any = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


def read(*events: Any) -> list[Delta]:
    parser = OPENAI.new_stream()
    told = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return [d for data in told for e in parser.feed(b"data: " + data + b"\n\n") for d in e.deltas]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


ODD: list[tuple[str, dict[str, Any]]] = [
    ("no index", chunk({"content": "hi"}, index=None)),
    ("an index in words", chunk({"content": "hi"}, index="0")),
    ("a time in words", chunk({"content": "hi"}, created="1700000000")),
    ("no time at all", chunk({"content": "hi"}, created=[])),
    ("a number for an id", chunk({"content": "hi"}, id=7)),
    ("a table for a tier", chunk({"content": "hi"}, service_tier={"a": 1}, system_fingerprint=3)),
    ("no calls", chunk({"content": "hi", "tool_calls": [None]})),
    ("calls that are a table", chunk({"content": "hi", "tool_calls": {}})),
    ("notes that are words", chunk({"content": "hi", "annotations": ["a"], "images": "x"})),
    ("a choice that is none", {**chunk(), "choices": [None, *chunk({"content": "hi"})["choices"]]}),
    ("likelihoods in a list", {**chunk(), "choices": [{"index": 0, "delta": {"content": "hi"}, "logprobs": []}]}),
    ("the whole message", {**chunk(), "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}),
    ("the older form", {**chunk(), "choices": [{"index": 0, "text": "hi"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("case", "odd"), ODD, ids=[case for case, _ in ODD])
def test_what_can_be_read_is(case: str, odd: dict[str, Any]) -> None:
    deltas = read(odd, chunk({}, "stop"), b"[DONE]")
    assert text(deltas) == "hi", case
    assert [d.reason for d in deltas if isinstance(d, Finish)] == ["stop"], case


def test_thoughts_in_a_table_are_words() -> None:
    deltas = read(chunk({"content": "hi", "reasoning_content": {"text": "hm"}}))
    assert [d.text for d in deltas if isinstance(d, ThinkingDelta)] == ["hm"]


def test_an_end_with_white_space_is_one() -> None:
    parser = OPENAI.new_stream()
    events = parser.feed(
        b"data: %b\n\ndata: [DONE] \n\n" % json.dumps(chunk({"content": "hi"}, "stop")).encode()
    )
    assert parser.done
    assert b"".join(event.raw for event in events).count(b"[DONE]") == 0, "a front writes its own"


@pytest.mark.parametrize("data", [b"[1]", b"7", b"[DONE", b"{", b'{"choices": 7}'])
def test_nonsense_is_still_nonsense(data: bytes) -> None:
    if data == b'{"choices": 7}':
        assert read(data) == []
        return
    with pytest.raises(UpstreamProtocolError):
        read(data)


FAILURES: list[tuple[str, dict[str, Any], type[UpstreamError]]] = [
    ("vLLM, an older one", {"object": "error", "message": "boom", "type": "InternalServerError", "code": 500}, UpstreamUnavailable),
    ("FastAPI", {"detail": "Internal server error"}, UpstreamUnavailable),
    ("SiliconFlow", {"code": 20015, "message": "busy", "data": None}, UpstreamUnavailable),
    ("Cloudflare", {"error": None, "errors": [{"code": 7000, "message": "no route"}]}, UpstreamUnavailable),
    ("MiniMax, too many", {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, UpstreamRateLimited),
    ("MiniMax, no money", {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, UpstreamAuthFailed),
    ("MiniMax, the words", {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, ContentFiltered),
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "failure", "kind"), FAILURES, ids=[vendor for vendor, _, _ in FAILURES])
def test_a_failure_within_a_success_is_one(
    vendor: str, failure: dict[str, Any], kind: type[UpstreamError]
) -> None:
    """In mid-stream, where the end marker behind it would else make half an answer a whole one; and alone."""
    with pytest.raises(kind):
        read(chunk({"content": "Half an ans"}), failure, b"[DONE]")
    for read_whole in (OPENAI.parse_chat, OPENAI.peek_chat):
        assert read_whole is not None
        with pytest.raises(kind):
            read_whole(HttpResponse(200, {}, json.dumps(failure).encode()))


def test_a_limit_within_a_success_is_told_in_its_own_words() -> None:
    with pytest.raises(UpstreamRateLimited, match="three a minute") as raised:
        read({"error": {"message": "three a minute", "code": "rate_limit_exceeded"}})
    assert raised.value.upstream_status == 429


def test_a_success_that_says_so_is_one() -> None:
    well = {"base_resp": {"status_code": 0, "status_msg": "success"}}
    counted = {"id": "x", "message": "Success", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert text(read(chunk({"content": "hi"}, "stop"), counted, b"[DONE]")) == "hi"
    assert text(read(chunk({"content": "hi"}, "stop", **well), b"[DONE]")) == "hi"
    message = {"role": "assistant", "content": "hi"}
    whole = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **well}
    answer = OPENAI.parse_chat(HttpResponse(200, {}, json.dumps(whole).encode()))
    assert answer.choices[0].text == "hi"


ENDS = {
    "length": ["MAX_TOKENS", "max_output_tokens", "model_length", "model_context_window_exceeded"],
    "content_filter": ["SAFETY", "sensitive", "content_filter: PROHIBITED_CONTENT", "RECITATION"],
    "error": ["abort", "insufficient_system_resource", "network_error", "function_call_filter: MALFORMED_FUNCTION_CALL"],
    "stop": ["stop", "eos", "end_turn", "COMPLETE", "stop_sequence", "whatever is new"],
}  # fmt: skip


@pytest.mark.parametrize(("reason", "word"), [(r, word) for r, words in ENDS.items() for word in words])
def test_why_an_answer_ended_is_known_by_every_vendors_word(reason: str, word: str) -> None:
    assert decode_finish(word)[0] == reason


def test_a_call_waits_for_its_name() -> None:
    def call(**function: Any) -> dict[str, Any]:
        return chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function}]})

    late = read(call(name="", arguments="{"), call(arguments='"x":'), call(name="f", arguments="1}"))
    starts = [d for d in late if isinstance(d, ToolCallStart)]
    assert [(d.id, d.name) for d in starts] == [("a", "f")]
    assert "".join(d.fragment for d in late if isinstance(d, ToolCallArguments)) == '{"x":1}'
    never = read(call(name=None, arguments="{}"), chunk({}, "tool_calls"))
    assert [type(d).__name__ for d in never][1:] == ["ToolCallStart", "ToolCallArguments", "Finish"]


USAGES: list[tuple[str, dict[str, Any], int]] = [
    ("xAI counts thoughts beside", {"prompt_tokens": 32, "completion_tokens": 1, "total_tokens": 333, "completion_tokens_details": {"reasoning_tokens": 300}}, 301),
    ("Google counts them in the total", {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 515}, 510),
    ("OpenAI counts them within", {"prompt_tokens": 5, "completion_tokens": 310, "total_tokens": 315, "completion_tokens_details": {"reasoning_tokens": 300}}, 310),
    ("what was cached is no output", {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 9, "prompt_cache_hit_tokens": 2}, 2),
]  # fmt: skip


READ: list[tuple[str, dict[str, Any], tuple[int, int | None, int | None]]] = [
    ("OpenAI", {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}}, (100, 80, None)),
    ("DeepSeek", {"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 80, "prompt_cache_miss_tokens": 20}, (100, 80, None)),
    ("Moonshot", {"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 80}, (100, 80, None)),
    ("OpenRouter", {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 10}}, (100, 80, 10)),
    ("DashScope", {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 90}}, (100, 0, 90)),
    ("a gateway before Claude", {"prompt_tokens": 100, "completion_tokens": 5, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10}, (100, 80, 10)),
    ("one that counts as Claude does", {"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10}, (100, 80, 10)),
    ("Claude's names", {"input_tokens": 100, "output_tokens": 5}, (100, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "usage", "expected"), READ, ids=[vendor for vendor, _, _ in READ])
def test_what_was_read_is_counted_by_every_vendors_names(
    vendor: str, usage: dict[str, Any], expected: tuple[int, int | None, int | None]
) -> None:
    message = {"role": "assistant", "content": "hi"}
    whole = {
        "id": "x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    body = json.dumps(whole).encode()
    (streamed,) = [d.usage for d in read({**chunk(), "usage": usage}) if isinstance(d, UsageDelta)]
    for told in (streamed, peek_response(body).usage, OPENAI.parse_chat(HttpResponse(200, {}, body)).usage):
        assert told is not None
        assert (told.input_tokens, told.cached_tokens, told.cache_write_tokens) == expected, vendor
        assert told.output_tokens == 5, vendor


@pytest.mark.parametrize(("case", "usage", "output"), USAGES, ids=[case for case, _, _ in USAGES])
def test_thoughts_are_paid_for_wherever_they_are_counted(
    case: str, usage: dict[str, Any], output: int
) -> None:
    (told,) = [d for d in read({**chunk(), "usage": usage}) if isinstance(d, UsageDelta)]
    message = {"role": "assistant", "content": "hi"}
    whole = {
        "id": "x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    peeked = peek_response(json.dumps(whole).encode()).usage
    assert peeked is not None
    assert (told.usage.output_tokens, peeked.output_tokens) == (output, output), case
