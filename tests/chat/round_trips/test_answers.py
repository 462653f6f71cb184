"""Answers through a dialect and back: the same whole, streamed, and streamed in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intellirouter.chat.parts import Part, Text, Thinking
from intellirouter.chat.response import ChatResponse, Choice, FinishReason, Usage
from intellirouter.chat.wire import WireFormat
from intellirouter.providers.stream import ndjson_parser, sse_parser
from tests.chat.round_trips.pieces import NAMES, SIGNERS, WORDS, calls, maybe
from tests.chat.round_trips.test_round_trips import FORMATS
from tests.conformance.dialects.test_answers import sent_stream
from tests.providers.recorded.check import found_stream, found_whole
from tests.providers.recorded.readers import Told

REASONS: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length"])  # words every dialect has
COUNTS = st.integers(0, 1_000)


@st.composite
def answers(draw: st.DrawFn, spoken_only: bool = False) -> ChatResponse:
    """An answer that every dialect can give: thoughts, words, calls."""
    parts: list[Part] = []
    if not spoken_only:
        parts += draw(
            st.lists(
                st.builds(Thinking, WORDS, signature=NAMES, signer=maybe(st.sampled_from(SIGNERS))),
                max_size=1,
            )
        )
    parts += draw(st.lists(WORDS.map(Text), max_size=1))
    made = [] if spoken_only else draw(st.lists(calls(), max_size=2, unique_by=lambda call: call.id))
    reason: FinishReason = "tool_calls" if made else draw(REASONS)
    usage = Usage(draw(COUNTS), draw(COUNTS))
    return ChatResponse(
        id="id-1", model="m-1", choices=(Choice((*parts, *made), reason),), usage=usage, created=7
    )


def streamed(wire: WireFormat, body: bytes, size: int) -> Told:
    """What a stream says, read in pieces."""
    parser = (ndjson_parser if wire.name == "ollama" else sse_parser)(wire.new_decoder())
    events = [event for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
    events += parser.close()
    return found_stream([delta for event in events for delta in event.deltas])


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_an_answer_says_the_same_whole_and_streamed(name: str, data: st.DataObject) -> None:
    wire = FORMATS[name]
    answer = data.draw(answers(spoken_only=name == "openai_completions"))
    whole = found_whole(wire.decode_response(wire.encode_response(answer)))
    told = found_whole(answer)
    said = (whole.text, whole.thoughts, whole.calls, whole.model)
    assert said == (told.text, told.thoughts, told.calls, told.model)
    assert (whole.finishes[0] or "").partition("/")[0] == told.finishes[0]
    assert whole.usage is not None
    assert told.usage is not None
    assert (whole.usage.read, whole.usage.written) == (told.usage.read, told.usage.written)
    body = sent_stream(wire, answer)
    stream = streamed(wire, body, data.draw(st.sampled_from([1, 2, 5, 64, len(body)])))
    if name == "ollama":  # its ids are made of the time
        stream.id = whole.id
    assert stream == whole
