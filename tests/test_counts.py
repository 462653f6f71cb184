"""Counts as people read them."""

from __future__ import annotations

from intellirouter.counts import counted


def test_one_of_a_thing_is_one_and_thousands_have_commas() -> None:
    assert [counted(number, "model") for number in (0, 1, 2, 1_200)] == [
        "0 models",
        "1 model",
        "2 models",
        "1,200 models",
    ]
    assert (counted(1, "run waits", "runs wait"), counted(2, "run waits", "runs wait")) == (
        "1 run waits",
        "2 runs wait",
    )
