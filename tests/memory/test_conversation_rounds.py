"""A conversation is cut only before the user's own words, and what a client tells itself is not told twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text, ToolCall, ToolResult
from intellirouter.memory.conversations import Turn, holds_history, overlap, shared, turn_tokens, window
from intellirouter.roles.router.pipeline.summaries import due

WORDS = "word " * 30


def user(text: str = WORDS) -> Message:
    return Message("user", (Text(text),))


def said(text: str = WORDS) -> Message:
    return Message("assistant", (Text(text),))


def called(*ids: str) -> Message:
    return Message("assistant", tuple(ToolCall(id_, "f", "{}") for id_ in ids))


def told(*ids: str, role: str = "tool") -> Message:
    results = tuple(ToolResult(id_, (Text(WORDS),)) for id_ in ids)
    return Message("user" if role == "user" else "tool", results)


def loop(number: int, length: int, role: str = "tool") -> list[Turn]:
    """One question whose answer takes `length` calls: a turn for each request."""
    ids = [f"c{number}_{place}" for place in range(length)]
    turns = [Turn((user(f"question {number} {WORDS}"), called(ids[0]) if ids else said()), number)]
    for place, id_ in enumerate(ids):
        last = place + 1 == len(ids)
        turns.append(
            Turn((told(id_, role=role), said() if last else called(ids[place + 1])), number + place / 100)
        )
    return turns


def whole(messages: list[Message]) -> bool:
    """Every result has its call before it, and the first words are the user's."""
    known: set[str] = set()
    for message in messages:
        for part in message.content:
            if isinstance(part, ToolCall):
                known.add(part.id)
            elif isinstance(part, ToolResult) and part.call_id not in known:
                return False
    return not messages or messages[0].role == "user"


@pytest.mark.parametrize("role", ["tool", "user"])
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(0, 2000))
def test_no_window_begins_inside_a_tool_round(role: str, lengths: list[int], budget: int) -> None:
    turns = [turn for number, length in enumerate(lengths) for turn in loop(number, length, role)]
    messages = window(turns, budget)
    assert whole(messages)
    assert messages[-1] == turns[-1].messages[-1], "the latest round is always there"
    older = due(turns, budget)
    rest = [message for turn in turns[len(older) :] for message in turn.messages]
    assert rest
    assert whole(rest)


def test_the_example() -> None:
    turns = loop(0, 1) + loop(1, 2)
    assert window(turns, 60) == [message for turn in loop(1, 2) for message in turn.messages]
    assert window(turns, 10_000) == [message for turn in turns for message in turn.messages]


def test_a_round_whose_beginning_is_no_longer_read_is_left_out_or_begins_with_a_call() -> None:
    beheaded = loop(0, 3)[1:]
    assert window(beheaded + loop(1, 1), 10_000) == [m for turn in loop(1, 1) for m in turn.messages]
    alone = window(beheaded, 10_000)
    assert alone[0].role == "assistant"
    assert not any(isinstance(part, ToolResult) for part in alone[0].content)


HISTORY = [user("A1"), said("B1"), user("A2"), said("B2")]


@pytest.mark.parametrize(
    ("told_now", "expected"),
    [
        ([user("A3")], 0),
        ([*HISTORY, user("A3")], 4),
        ([user("A2"), said("B2 "), user("A3")], 2),
        ([user("A2"), said("other"), user("A3")], 0),
        ([user("X"), said("Y"), user("A3")], 0),
    ],
)
def test_what_a_client_sends_again_is_known(told_now: list[Message], expected: int) -> None:
    assert overlap(HISTORY, told_now) == expected


def test_a_client_that_changed_its_question_tells_the_conversation_itself() -> None:
    edited = [user("A1"), said("B1"), user("A2, better")]
    assert holds_history(HISTORY, edited)
    assert shared(HISTORY, edited) == 2
    assert not holds_history(HISTORY, [user("A1")])
    assert not holds_history([], edited)
    assert turn_tokens(Turn(tuple(edited))) > 0
