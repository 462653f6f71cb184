"""Whoever listens to a run and breaks off at any event is told the rest: all of it, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.listening import NEWEST, Place

ENDS = st.lists(st.integers(0, 40), min_size=1, max_size=30)
"""When steps ended, in milliseconds, in the order in which they were written down: branches overtake one another."""


def record(number: int, ended: float) -> dict[str, Any]:
    return {
        "number": number,
        "path": f"s{number}",
        "ended_at": 1_790_000_000.0 + ended / 1e3,
        "outcome": {"ok": number},
    }


def listened(written: list[dict[str, Any]], looks: list[int], *, breaks: bool) -> list[int]:
    """The numbers that a listener is told who looks when so many records are there, and comes back after every event or never."""
    place, told = Place.read(""), []
    for count in [*looks, len(written)]:
        while due := place.due(written[:count]):
            for step in due:
                place.told(step)
                told.append(step["number"])
                if breaks:
                    place = Place.read(place.text().decode())
                    break
    return told


@given(ENDS, st.data(), st.booleans())
@settings(max_examples=30)
def test_what_is_written_down_late_is_told_once(ends: list[int], data: st.DataObject, breaks: bool) -> None:
    numbers = data.draw(st.permutations(range(1, len(ends) + 1)))
    written = [record(*pair) for pair in zip(numbers, ends, strict=True)]
    looks = sorted(data.draw(st.lists(st.integers(0, len(ends)), max_size=8)))
    told = listened(written, looks, breaks=breaks)
    assert sorted(told) == sorted(numbers)


def test_what_is_written_down_very_late_is_not_left_out() -> None:
    """A node that was frozen, or whose clock is behind: its record stands before all that an id names one by one."""
    written = [record(number, number) for number in range(3 * NEWEST)]
    place = Place()
    for step in place.due(written):
        place.told(step)
    again = Place.read(place.text().decode())
    assert again.due(written) == []
    late = record(9_999, -50)
    assert late in place.due([*written, late])
    assert late in Place.read(place.text().decode()).due([*written, late])
    again = Place.read(place.text().decode())
    for step in again.due([*written, late]):
        again.told(step)
    assert Place.read(again.text().decode()).due([*written, late]) == []


def heard(place: Place, said: dict[str, tuple[int, str]]) -> list[tuple[int, str]]:
    """Offsets and texts of the words that a listener is told, who breaks off behind them and comes back."""
    found = []
    for words, step, tail in place.new(said):
        place.behind(words, step, tail)
        found.append((words["offset"], words["text"]))
    place.words = Place.read(place.text().decode()).words
    return found


def test_words_are_told_up_to_their_record_and_not_behind_it() -> None:
    place = Place()
    assert heard(place, {"s1": (1, "one")}) == [(0, "one")]
    said = {"s1": (1, "one two"), "s2": (1, "three")}
    assert place.due([record(1, 1)]) == [record(1, 1)]
    assert heard(place, said) == [(3, " two"), (0, "three")]
    place.told(record(1, 1))
    for again in (place, Place.read(place.text().decode())):
        assert again.due([record(1, 1)]) == []
        assert heard(again, said) == []


def test_words_of_a_node_that_took_over_begin_anew() -> None:
    place = Place()
    assert heard(place, {"s": (1, "one two")}) == [(0, "one two")]
    assert heard(place, {"s": (1, "one")}) == []  # another node tells it, which is behind
    assert heard(place, {"s": (1, "uno due tre")}) == [(0, "uno due tre")]
    assert heard(place, {"s": (1, "uno due tre quattro")}) == [(11, " quattro")]
    assert heard(place, {"s": (2, "x")}) == [(0, "x")]


def test_an_id_of_an_earlier_version_goes_on_behind_its_record() -> None:
    written = [record(number, number) for number in range(4)]
    place = Place.read(f"{int(written[1]['ended_at'] * 1e3)}-1")
    assert [step["number"] for step in place.due(written)] == [2, 3]


@pytest.mark.parametrize(
    "given",
    [
        "x",
        "1-2*3",
        "1-2*3!9_1",
        "1-2*3!1_999999",
        "1-2*1!" + ",".join("1" * 65),
        "1-2*1!" + "1" * 500,  # read in one way or in none: not in each of 2^500
        "1-2~zz",
    ],
)
def test_what_is_no_id_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest):
        Place.read(given)
