"""Joining a continuation to what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import StreamInterrupted
from intellirouter.inference.rescue.stitch import HELD, Stitcher

STORY = " ".join(f"sentence {number} of a story." for number in range(40))


def join(said: str, pieces: list[str]) -> str:
    stitcher = Stitcher(said)
    return said + "".join(map(stitcher.feed, pieces)) + stitcher.finish()


def cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@given(at=st.integers(20, len(STORY) - 1), back=st.integers(0, 200), size=st.integers(1, 50))
def test_going_on_repeating_the_last_words_or_beginning_anew_all_give_one_story(
    at: int, back: int, size: int
) -> None:
    said = STORY[:at]
    assert join(said, cut(STORY[at:], size)) == STORY
    assert join(said, cut(STORY, size)) == STORY
    if back >= HELD:
        assert join(said, cut(STORY[max(0, at - back) :], size)) == STORY


def test_a_short_overlap_of_words_is_said_once() -> None:
    assert join("The capital of France is", ["is of France is", " Paris."]).endswith(" Paris.")
    assert join("and the quick brown fox", ["quick brown fox", " jumps"]) == "and the quick brown fox jumps"


@given(said=st.text(max_size=200), rest=st.text(max_size=200), size=st.integers(1, 30))
def test_what_is_new_is_never_lost(said: str, rest: str, size: int) -> None:
    try:
        joined = join(said, cut(rest, size))
    except StreamInterrupted:
        return
    assert joined.startswith(said)
    assert joined.endswith(rest[-1:]) or said.endswith(rest[-1:])


def test_an_answer_told_differently_the_second_time_is_an_error() -> None:
    with pytest.raises(StreamInterrupted):
        join(STORY[:200], cut(STORY[:100] + "and now something else entirely", 10))


def test_a_likeness_by_chance_loses_nothing() -> None:
    said = "x" * 50 + STORY[100:260] + "."
    rest = STORY[100:230] + " but differently"
    assert join(said, cut(rest, 7)) == said + rest
