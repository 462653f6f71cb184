"""One recorded exchange against its adapter: whole, split at each byte, split at random, and cut."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from intellirouter.chat.delta import (
    Delta,
    Finish,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.errors import InvalidRequest, StreamInterrupted, UpstreamAuthFailed, UpstreamError
from intellirouter.providers.adapter import Adapter, HttpResponse, Target
from intellirouter.providers.table import ADAPTERS
from tests.providers.recorded.dressed import broken, dressed
from tests.providers.recorded.readers import READERS, Counts, Told, events_of, read_vectors
from tests.providers.recorded.rows import Dialect, Row
from tests.providers.recorded.told_on import stream_on, whole_on

# What a vendor's word means to us, where it does not depend on anything else.
_REASONS: dict[str | None, str | None] = {
    None: None,
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
    "completed": "stop",
    "called": "tool_calls",
    "max_output_tokens": "length",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
}
CUTS = 24
# What routing decides (and `conversation`, which is ours here).
_ROUTED = {"model", "stream", "stream_options", "conversation"}
_STANDING = {"messages", "contents", "input", "prompt"}


def check(row: Row, cuts: int = CUTS) -> None:
    """Raise where the adapter understood anything else than the vendor sent."""
    assert row.claim is not None
    adapter = ADAPTERS[row.claim.kind]
    if row.claim.task == "chat" and isinstance(row.request, dict):
        check_request(row, adapter)
    if row.status >= 400:
        check_error(row, adapter)
    elif row.claim.task == "embeddings":
        check_vectors(row, adapter)
    elif row.claim.task == "count":
        check_count(row, adapter)
    elif row.stream:
        check_stream(row, adapter, cuts)
    else:
        check_whole(row, adapter)


def check_request(row: Row, adapter: Adapter) -> None:
    """The recorded request, had we been asked it: sent on unchanged, and written anew without a loss of fields."""
    asked = {**row.request, "model": row.request.get("model") or "m", "stream": row.stream}
    target = Target("p", "m", "https://host/v1")
    try:
        request = adapter.wire.decode_request(asked, {})
    except InvalidRequest as refusal:  # what no chat model can do: several prompts, a prompt of token ids
        assert refusal.param == "prompt"
        return
    built = adapter.build_chat(request, target)
    assert not built.notes
    if adapter.kind != "mistral":  # it must have other ids
        sent = json.loads(built.body)
        assert {k: v for k, v in sent.items() if k not in _ROUTED} == {
            k: v for k, v in row.request.items() if k not in _ROUTED
        }
    anew = json.loads(adapter.build_chat(request.changed(), target).body)
    assert _STANDING & anew.keys() == _STANDING & row.request.keys()
    written = adapter.wire.encode_request(request.changed(), [])
    again = adapter.wire.decode_request({"model": "m", "stream": row.stream, **written}, {})
    assert adapter.wire.encode_request(again.changed(model=request.model), []) == written


def response_of(row: Row) -> HttpResponse:
    """The answer as the transport hands it over."""
    return HttpResponse(row.status, row.headers, row.body)


def check_error(row: Row, adapter: Adapter) -> None:
    """The vendor's own words reach the caller, but for a refused key: that is between operator and vendor."""
    error = adapter.parse_error(response_of(row), "p")
    assert error.upstream_status == row.status
    if row.status in (401, 403):
        assert isinstance(error, UpstreamAuthFailed)
        return
    sent = events_of(row.body)[0]
    words = sent.get("error") or sent.get("message") or sent.get("detail")
    words = words.get("message") if isinstance(words, dict) else words
    assert isinstance(words, str)
    assert words in error.message


def check_vectors(row: Row, adapter: Adapter) -> None:
    """Every number, and the tokens where the vendor says them."""
    assert adapter.parse_embeddings is not None
    sent = events_of(row.body)[0]
    answer = adapter.parse_embeddings(response_of(row))
    assert [list(vector) for vector in answer.vectors] == read_vectors(sent)
    if told := sent.get("usage"):
        assert answer.usage is not None
        assert answer.usage.input_tokens == told["prompt_tokens"]
        assert answer.model == sent["model"]


def check_count(row: Row, adapter: Adapter) -> None:
    """The number of tokens."""
    assert adapter.parse_count is not None
    assert adapter.parse_count(response_of(row)) == json.loads(row.body)["input_tokens"]


def check_whole(row: Row, adapter: Adapter) -> None:
    """A whole answer; what a router only peeks at must agree with it."""
    assert row.claim is not None
    told = READERS[row.claim.dialect](events_of(row.body))
    if told.error is not None:
        with pytest.raises(UpstreamError) as failed:
            adapter.parse_chat(response_of(row))
        assert told.error in failed.value.message
        return
    answer = adapter.parse_chat(response_of(row))
    same(told, found_whole(answer), row.claim.dialect)
    whole_on(told, answer)
    if adapter.peek_chat is not None:
        peeked = adapter.peek_chat(response_of(row))
        assert [c.finish_reason for c in peeked.choices] == [c.finish_reason for c in answer.choices]
        assert (peeked.id, peeked.model) == (answer.id, answer.model)
        counts_same(told.usage, peeked.usage)
    for cut in (1, len(row.body) // 2, len(row.body.rstrip()) - 1):
        with pytest.raises(UpstreamError):
            adapter.parse_chat(HttpResponse(200, row.headers, row.body[:cut]))


def check_stream(row: Row, adapter: Adapter, cuts: int) -> None:
    """A stream: the same however it was split, and never complete before its end."""
    assert row.claim is not None
    told = READERS[row.claim.dialect](events_of(row.body))
    body, dice = row.body, random.Random(row.id)
    if told.error is not None:
        for pieces in ([body], bytewise(body)):
            with pytest.raises(UpstreamError) as failed:
                deltas_of(adapter, pieces)
            assert told.error in failed.value.message
        return
    whole = deltas_of(adapter, [body])
    same(told, found_stream(whole), row.claim.dialect)
    stream_on(told, whole)
    assert deltas_of(adapter, bytewise(body)) == whole
    assert deltas_of(adapter, at_random(body, dice)) == whole
    check_clothes(row, adapter, found_stream(whole))
    end = completed_at(adapter, body)
    chosen = range(end) if end <= cuts else sorted({0, 1, end - 1, *dice.sample(range(end), cuts)})
    check_cuts(adapter, body, chosen)
    early = found_stream(deltas_of(adapter, [body[:end]]))
    full = found_stream(whole)
    assert (early.text, early.calls, early.finishes) == (full.text, full.calls, full.finishes)


def check_clothes(row: Row, adapter: Adapter, told: Told) -> None:
    """The stream in all the forms a vendor may give it, and with an error in its middle."""
    assert row.claim is not None
    for name, body in dressed(row.body, row.claim.dialect):
        assert found_stream(deltas_of(adapter, [body])) == told, name
        assert found_stream(deltas_of(adapter, at_random(body, random.Random(name)))) == told, name
    if (body := broken(row.body, row.claim.dialect) or b"") and told.finishes:
        with pytest.raises(UpstreamError) as caught:
            deltas_of(adapter, [body])
        assert "it broke" in f"{caught.value} {caught.value.__cause__}"  # of a fault of its own, for the log


def check_cuts(adapter: Adapter, body: bytes, cuts: Iterable[int]) -> None:
    """A connection that ends at any of these places, in order, must not pass for a whole answer."""
    parser, fed = adapter.new_stream(), 0
    for cut in cuts:
        parser.feed(body[fed:cut])
        fed = cut
        with pytest.raises(StreamInterrupted):
            copy.deepcopy(parser).close()


def bytewise(body: bytes) -> Iterable[bytes]:
    """One byte at a time."""
    return (body[at : at + 1] for at in range(len(body)))


def at_random(body: bytes, dice: random.Random) -> list[bytes]:
    """Pieces of one byte to a few hundred."""
    pieces, at = [], 0
    while at < len(body):
        size = dice.choice((1, 2, 3, 7, 40, 300))
        pieces.append(body[at : at + size])
        at += size
    return pieces


def deltas_of(adapter: Adapter, pieces: Iterable[bytes]) -> list[Delta]:
    """A stream in these pieces, to its end."""
    parser = adapter.new_stream()
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.close()
    return [delta for event in events for delta in event.deltas]


def completed_at(adapter: Adapter, body: bytes) -> int:
    """The smallest number of bytes after which a connection that closes leaves a whole answer.

    An event whose blank line is missing counts at the close, so a few bytes less than `complete` needs may do.
    """
    parser = adapter.new_stream()
    for at in range(len(body)):
        parser.feed(body[at : at + 1])
        if parser.complete:
            break
    for end in range(max(0, at - 4), at + 2):
        try:
            deltas_of(adapter, [body[:end]])
        except StreamInterrupted:
            continue
        return end
    raise AssertionError("the whole stream does not look complete")


def found_whole(answer: ChatResponse) -> Told:
    """What an answer says."""
    found = Told(model=answer.model, id=answer.id, usage=None)
    for choice in answer.choices:
        found.say(found.text, choice.index, choice.text)
        found.say(found.thoughts, choice.index, choice.thinking)
        found.say(found.refusals, choice.index, choice.refusal)
        if choice.tool_calls:
            found.calls[choice.index] = [(call.name, call.arguments) for call in choice.tool_calls]
        found.finishes[choice.index] = _word(choice.finish_reason, choice.finish_detail)
    found.usage = _counts(answer.usage)
    return found


def found_stream(deltas: list[Delta]) -> Told:
    """What deltas say together."""
    found = Told()
    calls: dict[tuple[int, int], list[str]] = {}
    for delta in deltas:
        match delta:
            case Start():
                found.model, found.id = delta.model or found.model, delta.id or found.id
                found.usage = _counts(delta.usage) or found.usage
            case TextDelta():
                found.say(found.text, delta.choice, delta.text)
            case ThinkingDelta():
                found.say(found.thoughts, delta.choice, delta.text)
            case RefusalDelta():
                found.say(found.refusals, delta.choice, delta.text)
            case ToolCallStart():
                assert (delta.choice, delta.index) not in calls
                calls[delta.choice, delta.index] = [delta.name, ""]
            case ToolCallArguments():
                calls[delta.choice, delta.index][1] += delta.fragment
            case Finish():
                assert delta.choice not in found.finishes
                found.finishes[delta.choice] = _word(delta.reason, delta.detail)
            case UsageDelta():
                found.usage = _counts(delta.usage)
    for (choice, _), (name, arguments) in sorted(calls.items()):
        found.calls.setdefault(choice, []).append((name, arguments))
    return found


def _word(reason: str | None, detail: str | None) -> str | None:
    """Canonical reason and vendor's word in one, for comparing."""
    return reason if detail is None else f"{reason}/{detail}"


def _counts(usage: Usage | None) -> Counts | None:
    if usage is None:
        return None
    return Counts(
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.total_tokens,
    )


def same(told: Told, found: Told, dialect: Dialect) -> None:
    """Nothing lost, nothing added."""
    assert found.model == told.model
    if dialect != "ollama":
        assert found.id == told.id
    assert found.text == told.text
    assert found.thoughts == told.thoughts
    assert found.refusals == told.refusals
    assert found.calls.keys() == {choice for choice, calls in told.calls.items() if calls}
    for choice, calls in found.calls.items():
        for (name, written), (sent_name, sent) in zip(calls, told.calls[choice], strict=True):
            assert name == sent_name
            if isinstance(sent, str):
                assert written == (sent or "{}"), "no arguments are an object without fields"
            else:
                assert json.loads(written or "{}") == sent
    finishes_same(told, found)
    sent_counts = told.usage
    assert (found.usage is None) == (sent_counts is None)
    if sent_counts is not None:
        if sent_counts.total is None:
            sent_counts.total = sent_counts.read + sent_counts.written
        assert found.usage == sent_counts


def finishes_same(told: Told, found: Told) -> None:
    """The canonical reason is what the vendor's word means; a word with no such meaning is kept beside it."""
    assert found.finishes.keys() == told.finishes.keys()
    for choice, word in told.finishes.items():
        reason, _, detail = (found.finishes[choice] or "").partition("/")
        expected = _REASONS.get(word, "stop")
        if expected == "stop" and choice in found.calls:  # Google and Ollama say stop after a call too
            expected = "tool_calls"
        assert (reason or None) == expected
        if (
            word not in (expected, "completed", "called", "end_turn", "tool_use", "pause_turn")
            and word is not None
        ):
            assert detail in ("", word)


def counts_same(told: Counts | None, usage: Usage | None) -> None:
    """The counts a peek tells."""
    found: Any = _counts(usage)
    if told is not None:
        told.total = told.read + told.written if told.total is None else told.total
    assert found == told
