"""Calls without arguments or ids, and answers that end without a word: what a client of any dialect can use comes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intellirouter.chat.anthropic_messages.format import FORMAT as MESSAGES
from intellirouter.chat.delta import (
    Delta,
    Finish,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
)
from intellirouter.chat.gemini.response import decode_finish
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.response import encode_response
from intellirouter.chat.parts import ToolCall
from intellirouter.providers.adapter import HttpResponse
from intellirouter.providers.table import ADAPTERS


def streamed(kind: str, *events: Any) -> list[Delta]:
    parser = ADAPTERS[kind].new_stream()
    told = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return [d for data in told for e in parser.feed(b"data: " + data + b"\n\n") for d in e.deltas]


def calls_of(deltas: list[Delta]) -> list[tuple[str, str, str]]:
    starts = {d.index: d for d in deltas if isinstance(d, ToolCallStart)}
    words = dict.fromkeys(starts, "")
    for delta in deltas:
        if isinstance(delta, ToolCallArguments):
            words[delta.index] += delta.fragment
    return [(start.id, start.name, words[index]) for index, start in starts.items()]


def whole(kind: str, body: Any) -> list[tuple[str, str, str]]:
    answer = ADAPTERS[kind].parse_chat(HttpResponse(200, {}, json.dumps(body).encode()))
    return [(call.id, call.name, call.arguments) for call in answer.choices[0].tool_calls]


def completion(*calls: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def call(name: str = "f", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def chunk(*calls: Any, finish: str | None = None) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": list(calls)}, "finish_reason": finish}]}  # fmt: skip


CLAUDE = (
    {"type": "message_start", "message": {"id": "m", "model": "m"}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}},
)  # fmt: skip
STOP = {"type": "content_block_stop", "index": 0}
CLAUDES_END = ({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"})
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "id": "fc", "call_id": "t", "name": "f", "arguments": ""}}  # fmt: skip
DONE = {**ADDED, "type": "response.output_item.done"}
STREAMS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("Claude's", "anthropic", (*CLAUDE, STOP, *CLAUDES_END)),
    ("Claude's, no end of the block", "anthropic", (*CLAUDE, *CLAUDES_END)),
    ("chat's", "openai_compatible", (chunk(call(arguments="", id="t", index=0)), chunk(finish="tool_calls"))),
    ("chat's, null", "openai_compatible", (chunk(call(arguments=None, id="t", index=0)), chunk(), b"[DONE]")),
    ("chat's, without a name", "openai_compatible", (chunk(call("f", "", id="t", index=0)), chunk(finish="stop"))),
    ("Responses'", "openai_responses", (ADDED, DONE, {"type": "response.completed", "response": {"output": []}})),
]  # fmt: skip


@pytest.mark.parametrize(("case", "kind", "events"), STREAMS, ids=[case for case, _, _ in STREAMS])
def test_a_call_without_arguments_has_an_empty_object(case: str, kind: str, events: tuple[Any, ...]) -> None:
    deltas = streamed(kind, *events)
    assert calls_of(deltas) == [("t", "f", "{}")], case
    assert [d.reason for d in deltas if isinstance(d, Finish)] == ["tool_calls"], case


def test_arguments_that_come_are_not_added_to() -> None:
    pieces = (
        chunk(call(arguments="", id="t", index=0)),
        chunk({"index": 0, "function": {"arguments": '{"x":1}'}}),
    )
    assert calls_of(streamed("openai", *pieces, chunk(finish="tool_calls"))) == [("t", "f", '{"x":1}')]
    written = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "[]"},
    }
    assert calls_of(streamed("anthropic", *CLAUDE, written, STOP, *CLAUDES_END)) == [("t", "f", "[]")]
    free = {"index": 0, "id": "t", "type": "custom", "custom": {"name": "f", "input": ""}}
    assert calls_of(streamed("openai", chunk(free), chunk(finish="tool_calls"))) == [("t", "f", "")]


WHOLE: list[tuple[str, str, Any, list[tuple[str, str, str]]]] = [
    ("nothing", "openai", completion(call(arguments="", id="t")), [("t", "f", "{}")]),
    ("Responses, nothing", "openai_responses", {"status": "completed", "output": [{"type": "function_call", "call_id": "t", "name": "f", "arguments": ""}]}, [("t", "f", "{}")]),
    ("Ollama, words", "ollama", {"message": {"content": "", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": '{"a":1}'}}]}, "done": True}, [("t", "f", '{"a":1}')]),
    ("Ollama, null", "ollama", {"message": {"content": "", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": None}}]}, "done": True}, [("t", "f", "{}")]),
    ("no ids", "vllm", completion(call(), call("g"), call(id="")), [("call_f", "f", "{}"), ("call_g", "g", "{}"), ("call_f_2", "f", "{}")]),
    ("one id for all", "vllm", completion(call(id="a"), call("g", id="a")), [("a", "f", "{}"), ("a_1", "g", "{}")]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "kind", "body", "expected"), WHOLE, ids=[case[0] for case in WHOLE])
def test_every_call_can_be_made_and_answered(
    case: str, kind: str, body: Any, expected: list[tuple[str, str, str]]
) -> None:
    assert whole(kind, body) == expected, case


def test_a_client_of_the_same_dialect_gets_the_ids_too() -> None:
    body = json.dumps(completion(call(), call())).encode()
    told = json.loads(encode_response(ADAPTERS["vllm"].parse_chat(HttpResponse(200, {}, body))))
    assert [one["id"] for one in told["choices"][0]["message"]["tool_calls"]] == ["call_f", "call_f_1"]
    tidy = json.dumps(completion(call(id="a"))).encode()
    assert encode_response(ADAPTERS["vllm"].parse_chat(HttpResponse(200, {}, tidy))) == tidy


def test_two_streamed_calls_with_one_id_are_told_apart() -> None:
    deltas = streamed("vllm", chunk(call(id="a", index=0), call("g", id="a", index=1)))
    assert [start.id for start in deltas if isinstance(start, ToolCallStart)] == ["a", "call_a"]


def test_a_shared_id_in_every_piece_begins_no_other_call() -> None:
    deltas = streamed(
        "vllm",
        chunk(call(arguments="", id="a", index=0), call("g", "[", id="a", index=1)),
        chunk(call(arguments="{}", id="a", index=0), call("g", "]", id="a", index=1)),
        chunk(finish="tool_calls"),
    )
    assert calls_of(deltas) == [("a", "f", "{}"), ("call_a", "g", "[]")]


def test_an_end_without_its_reason_is_an_end() -> None:
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
    silent = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 1}}
    deltas = streamed("anthropic", CLAUDE[0], said, silent, {"type": "message_stop"})
    assert [d.reason for d in deltas if isinstance(d, Finish)] == ["stop"]
    deltas = streamed("anthropic", *CLAUDE, STOP, {"type": "message_stop"})
    assert [d.reason for d in deltas if isinstance(d, Finish)] == ["tool_calls"]


@pytest.mark.parametrize("word", ["MODEL_ARMOR", "IMAGE_RECITATION"])
def test_what_google_may_not_say_is_filtered(word: str) -> None:
    assert decode_finish(word, False) == ("content_filter", word)


CUT = {"id": "r", "object": "response", "output": [{"type": "message", "content": [{"type": "output_text", "text": "Half"}]}]}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reason"),
    [("completed", "stop"), ("incomplete", "length"), ("cancelled", "error")],
)
def test_a_response_that_was_cut_is_not_complete(status: str, reason: str) -> None:
    answer = ADAPTERS["openai_responses"].parse_chat(
        HttpResponse(200, {}, json.dumps({**CUT, "status": status, "incomplete_details": None}).encode())
    )
    assert answer.choices[0].finish_reason == reason
    if status == "incomplete":
        deltas = streamed("openai_responses", {"type": "response.incomplete", "response": CUT})
        assert [d.reason for d in deltas if isinstance(d, Finish)] == ["length"]


def test_a_response_where_a_completion_was_asked_for_is_read() -> None:
    """OpenCode's gateway answers so at either address."""
    adapter = ADAPTERS["openai_compatible"]
    body = json.dumps({**CUT, "status": "completed", "output": [*CUT["output"], {"type": "function_call", "call_id": "t", "name": "f", "arguments": "{}"}]}).encode()  # fmt: skip
    for read in (adapter.parse_chat, adapter.peek_chat):
        assert read is not None
        answer = read(HttpResponse(200, {}, body))
        assert answer.choices[0].text == "Half"
        assert answer.choices[0].tool_calls == (ToolCall("t", "f", "{}"),)
        assert json.loads(encode_response(answer))["choices"][0]["message"]["content"] == "Half"


def added(output: int, id_: str, name: str) -> dict[str, Any]:
    item = {"type": "function_call", "id": f"i{id_}", "call_id": id_, "name": name, "arguments": ""}
    return {"type": "response.output_item.added", "output_index": output, "item": item}


def piece(output: int, id_: str, words: str) -> dict[str, Any]:
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "output_index": output, "item_id": f"i{id_}", "delta": words}


END = {"type": "response.completed", "response": {"status": "completed", "output": []}}


def test_items_under_one_index_are_told_apart_by_their_ids() -> None:
    said = {
        "type": "response.output_text.delta",
        "output_index": 0,
        "content_index": 0,
        "item_id": "m0",
        "delta": "hi",
    }
    begun = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "m0"}}
    deltas = streamed("openai_responses", begun, said, added(0, "a", "f"), piece(0, "a", "{"), added(0, "b", "g"), piece(0, "b", "[]"), piece(0, "a", "}"), END)  # fmt: skip
    assert calls_of(deltas) == [("a", "f", "{}"), ("b", "g", "[]")]


def test_items_whose_ids_change_keep_their_place() -> None:
    done = {**added(1, "a", "f"), "type": "response.output_item.done"}
    done["item"] = {**done["item"], "id": "another", "arguments": "{}"}
    deltas = streamed("openai_responses", added(1, "a", "f"), {**piece(1, "x", "{}"), "item_id": "third"}, done, END)  # fmt: skip
    assert calls_of(deltas) == [("a", "f", "{}")]


def test_what_has_a_new_id_in_every_event_is_told_once() -> None:
    """GitHub Copilot's are sealed anew each time; an item is then what stands at its index."""
    ids = iter(range(100))

    def event(kind: str, output: int, **more: Any) -> dict[str, Any]:
        if "item" in more:
            more["item"] = {**more["item"], "id": f"i{next(ids)}"}
        return {"type": f"response.{kind}", "output_index": output, "item_id": f"i{next(ids)}", **more}

    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    made = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    deltas = streamed(
        "openai_responses",
        event("output_item.added", 0, item={"type": "reasoning"}),
        event("reasoning_summary_text.delta", 0, summary_index=0, delta="hm"),
        event("output_item.done", 0, item=thought),
        event("output_item.added", 1, item={"type": "message", "content": []}),
        event("output_text.delta", 1, content_index=0, delta="hi"),
        event("output_text.done", 1, content_index=0, text="hi"),
        event("output_item.done", 1, item=said),
        event("output_item.added", 2, item={**made, "arguments": ""}),
        event("function_call_arguments.delta", 2, delta="{}"),
        event("output_item.done", 2, item=made),
        {"type": "response.completed", "response": {"status": "completed", "output": [thought, said, made]}},
    )
    assert [d.text for d in deltas if isinstance(d, ThinkingDelta) and d.text] == ["hm"]
    assert len({d.block for d in deltas if isinstance(d, ThinkingDelta)}) == 1
    assert [d.text for d in deltas if isinstance(d, TextDelta)] == ["hi"]
    assert calls_of(deltas) == [("a", "f", "{}")]


def test_arguments_before_their_call_are_kept() -> None:
    done = {**added(0, "a", "f"), "type": "response.output_item.done"}
    assert calls_of(streamed("openai_responses", piece(0, "a", '{"x"'), piece(0, "a", ":1}"), done, END)) == [("a", "f", '{"x":1}')]  # fmt: skip


def test_words_between_two_pieces_of_arguments_break_no_call() -> None:
    """Anthropic's blocks cannot be opened again: what comes between waits until the call is whole."""
    encoder = MESSAGES.new_encoder(ChatRequest(model="m", messages=()))
    deltas = (
        TextDelta("a", 1),
        ToolCallStart(0, "x", "f", block=3),
        ToolCallArguments(0, '{"a"', 3),
        TextDelta("b", 1),
        ToolCallStart(1, "y", "g", block=4),
        ToolCallArguments(1, "{}", 4),
        ToolCallArguments(0, ":1}", 3),
        TextDelta("c", 1),
        Finish("tool_calls"),
    )
    sent = b"".join(encoder.encode((delta,)) for delta in deltas) + encoder.finish()
    events = [json.loads(line[6:]) for line in sent.splitlines() if line.startswith(b"data: ")]
    blocks: dict[int, list[str]] = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = [event["content_block"].get("name", "")]
        elif event["type"] == "content_block_delta":
            blocks[event["index"]].append(event["delta"].get("text") or event["delta"]["partial_json"])
    assert [(name, "".join(words)) for name, *words in blocks.values()] == [("", "a"), ("f", '{"a":1}'), ("g", "{}"), ("", "bc")]  # fmt: skip
    opened = [e["type"] for e in events if e["type"] in ("content_block_start", "content_block_stop")]
    assert opened == ["content_block_start", "content_block_stop"] * 4
