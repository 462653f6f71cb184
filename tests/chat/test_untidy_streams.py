"""What untidy streams of vendors mean: empty events, parallel calls under one index, words that come only at the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intellirouter.chat.delta import Delta, Finish, TextDelta, ThinkingDelta, ToolCallArguments, ToolCallStart
from intellirouter.chat.sse import SseSplitter
from intellirouter.errors import UpstreamProtocolError
from intellirouter.providers.table import ADAPTERS


def chunk(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [choice]}).encode()


def call(index: int | None, id_: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        entry["index"] = index
    if id_ is not None:
        entry |= {"id": id_, "type": "function"}
    if name is not None:
        entry["function"]["name"] = name
    return entry


def read(kind: str, *payloads: bytes) -> list[Delta]:
    parser = ADAPTERS[kind].new_stream()
    events = [event for data in payloads for event in parser.feed(b"data: " + data + b"\n\n")]
    return [delta for event in events for delta in event.deltas]


def calls_in(deltas: list[Delta]) -> list[tuple[str, str, str]]:
    """Id, name and arguments of every call."""
    starts = {delta.index: delta for delta in deltas if isinstance(delta, ToolCallStart)}
    written = dict.fromkeys(starts, "")
    for delta in deltas:
        if isinstance(delta, ToolCallArguments):
            written[delta.index] += delta.fragment
    return [(start.id, start.name, written[index]) for index, start in starts.items()]


CALLS: list[tuple[str, list[dict[str, Any]], list[tuple[str, str, str]]]] = [
    (
        "one index for all, each whole",
        [call(0, "a", "read", '{"p":"1"}'), call(0, "b", "read", '{"p":"2"}')],
        [("a", "read", '{"p":"1"}'), ("b", "read", '{"p":"2"}')],
    ),
    (
        "one index for all, each in pieces",
        [call(0, "a", "f", ""), call(0, None, None, '{"p"'), call(0, None, None, ":1}"), call(0, "b", "g", "{"), call(0, None, None, "}")],
        [("a", "f", '{"p":1}'), ("b", "g", "{}")],
    ),
    (
        "three under one index",
        [call(0, "a", "f", "{}"), call(0, "b", "f", "{}"), call(0, "c", "f", "{}")],
        [("a", "f", "{}"), ("b", "f", "{}"), ("c", "f", "{}")],
    ),
    (
        "interleaved by their index",
        [call(0, "a", "f", ""), call(1, "b", "g", ""), call(0, None, None, "{}"), call(1, None, None, "[]")],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    (
        "the id again with every piece",
        [call(0, "a", "f", ""), call(0, "a", "f", "{"), call(0, "a", None, "}")],
        [("a", "f", "{}")],
    ),
    (
        "a new id with every piece, and no name",
        [call(0, "a", "f", ""), call(0, "x1", None, "{"), call(0, "x2", None, "}")],
        [("a", "f", "{}")],
    ),
    (
        "no index at all",
        [call(None, "a", "f", "{}"), call(None, "b", "f", "{}")],
        [("a", "f", "{}"), ("b", "f", "{}")],
    ),
    (
        "no id at all",
        [call(0, None, "f", "{}"), call(1, None, "f", "{}")],
        [("call_f", "f", "{}"), ("call_f_1", "f", "{}")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("case", "pieces", "expected"), CALLS, ids=[case[0] for case in CALLS])
def test_parallel_calls_are_told_apart(
    case: str, pieces: list[dict[str, Any]], expected: list[tuple[str, str, str]]
) -> None:
    assert calls_in(read("openai", *(chunk(tool_calls=[piece]) for piece in pieces))) == expected, case


def test_parallel_calls_of_one_chunk_are_told_apart() -> None:
    both = [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")]
    assert calls_in(read("openai", chunk(tool_calls=both))) == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize(
    "nothing",
    [b"data:\n\n", b"data: \n\n", b"event: keepalive\ndata:\n\n", b": ping\n\n", b"data\n\n", b"event: ping\n\n"],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_without_data_is_none(nothing: bytes, end: bytes) -> None:
    stream = (b"data: 1\n\n" + nothing + b"data: 2\n\n").replace(b"\n", end)
    for size in (1, 3, len(stream)):
        splitter = SseSplitter()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.flush()
        assert [event.data for event in events] == [b"1", b"2"]


@pytest.mark.parametrize("kind", ["openai", "openai_responses", "anthropic", "google", "mistral"])
def test_no_dialect_breaks_on_one(kind: str) -> None:
    parser = ADAPTERS[kind].new_stream()
    assert parser.feed(b"data:\n\nevent: keepalive\ndata:\n\n") == []


MESSAGE = {
    "type": "message",
    "id": "m",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello"}],
}
CALLED = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
THOUGHT = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]}


def completed(*output: dict[str, Any]) -> bytes:
    return json.dumps(
        {"type": "response.completed", "response": {"id": "r", "output": list(output)}}
    ).encode()


def test_what_only_the_last_event_says_is_told() -> None:
    deltas = read("openai_responses", completed(THOUGHT, MESSAGE, CALLED))
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)] == ["Hello"]
    assert [delta.text for delta in deltas if isinstance(delta, ThinkingDelta)] == ["hm"]
    assert calls_in(deltas) == [("c", "f", "{}")]
    assert [delta.reason for delta in deltas if isinstance(delta, Finish)] == ["tool_calls"]


def test_what_was_told_is_not_told_again_at_the_end() -> None:
    said = json.dumps(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    )
    deltas = read("openai_responses", said.encode(), completed(THOUGHT, MESSAGE, CALLED))
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == "Hel"
    assert calls_in(deltas) == [("c", "f", "{}")]
    done = json.dumps({"type": "response.output_item.done", "output_index": 0, "item": CALLED}).encode()
    assert calls_in(read("openai_responses", done, completed(CALLED))) == [("c", "f", "{}")]


ARGUMENTS = json.dumps(
    {"type": "response.function_call_arguments.delta", "item_id": "f", "output_index": 1, "delta": "{}"}
).encode()


def ended(*output: dict[str, Any]) -> bytes:
    response = {"id": "r", "status": "completed", "model": "m", "output": list(output)}
    return json.dumps({"type": "response.completed", "response": response}).encode()


def test_arguments_whose_call_nobody_tells_of_are_no_end() -> None:
    """The call is lost, and an agent would take what is left for the whole answer."""
    told = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "x"}
    words = json.dumps(told).encode()
    with pytest.raises(UpstreamProtocolError, match="never began"):
        read("openai_responses", words, ARGUMENTS, ended())
    item = {"id": "f", "type": "function_call", "call_id": "c", "name": "g", "arguments": "{}"}
    assert calls_in(read("openai_responses", words, ARGUMENTS, ended(item))) == [("c", "g", "{}")]
