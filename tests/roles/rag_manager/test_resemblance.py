"""When two texts count as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.roles.rag_manager.resemblance import alike, shingles

WORDS = [f"word{n}" for n in range(100)]


def changed(*places: int) -> str:
    return " ".join("other" if place in places else word for place, word in enumerate(WORDS))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (changed(), True),
        (changed().upper().replace(" ", "\n"), True),
        (changed(50), True),
        (changed(50, 51), True),
        (changed(50, 70), False),
        (" ".join(WORDS[:95]), True),
        (" ".join(WORDS[:85]), False),
        (" ".join(reversed(WORDS)), False),
        ("", False),
    ],
)
def test_one_word_in_a_hundred_may_differ(other: str, same: bool) -> None:
    assert alike(shingles(" ".join(WORDS)), shingles(other)) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("a b", "A  b", True), ("a b", "b a", False), ("", " ", True), ("x += 1", "x -= 1", False)],
)
def test_short_texts_are_whole(one: str, other: str, same: bool) -> None:
    assert alike(shingles(one), shingles(other)) is same


@given(st.text(), st.text())
def test_likeness_has_no_direction_and_a_text_is_like_itself(one: str, other: str) -> None:
    first, second = shingles(one), shingles(other)
    assert alike(first, first)
    assert alike(first, second) is alike(second, first)
