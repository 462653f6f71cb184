"""The words of a message: how bad it is, what is wrong, since when, what to do, and no advice for what is over."""

from __future__ import annotations

import pytest

from intellirouter.alerts.judge import Alert
from intellirouter.alerts.message import MOST_LINES, figure, text_of, title_of, tone_of
from intellirouter.alerts.notice import Item, Tells
from intellirouter.alerts.rule import Severity

BEGAN = 1_763_633_400.0  # 2025-11-20 10:10:00 UTC


def item(tells: Tells = "fired", severity: Severity = "warning", **more: str) -> Item:
    return Item(
        tells,
        Alert(
            "disk",
            "",
            "the disk fills",
            id="a1",
            severity=severity,
            value=0.9,
            unit="share",
            fired=BEGAN,
            **more,
        ),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("items", "tone", "title"),
    [
        ([item()], "warning", "[WARNING] the disk fills (node a)"),
        ([item("worse", "critical")], "failure", "[CRITICAL] the disk fills (node a)"),
        ([item("recovered", "critical")], "success", "[RECOVERED] the disk fills (node a)"),
        ([item(), item("worse", "critical")], "failure", "[CRITICAL] 2 alerts (node a)"),
        ([item(), item("recovered", "critical")], "warning", "[WARNING] 1 alert, 1 recovered (node a)"),
        ([item("recovered")] * 2, "success", "[RECOVERED] 2 recovered (node a)"),
    ],
)
def test_the_title_and_tone_are_those_of_the_worst_that_is_open(
    items: list[Item], tone: str, title: str
) -> None:
    assert (tone_of(items), title_of(items, "node a")) == (tone, title)


@pytest.mark.parametrize(
    ("one", "lines"),
    [
        (item(advice="make room"), ["WARNING the disk fills", "→ make room"]),
        (item("worse", "critical", advice="make room"), ["worse: CRITICAL the disk fills", "→ make room"]),
        (item("recovered", advice="make room"), ["recovered: RECOVERED the disk fills"]),
        (item("again", note="on node b"), ["still: WARNING the disk fills", "on node b"]),
    ],
)
def test_what_to_do_is_said_while_there_is_something_to_do(one: Item, lines: list[str]) -> None:
    first, *rest = (line.strip() for line in text_of([one]).splitlines())
    assert rest[0] == "value 90.0%, since 2025-11-20 10:10:00Z, id a1"
    assert [first, *rest[1:]] == lines


def test_a_message_of_very_many_says_how_many_more_there_are() -> None:
    text = text_of([item()] * (MOST_LINES + 3))
    assert text.count("the disk fills") == MOST_LINES
    assert text.endswith("… and 3 more: intellirouter alerts ls")
    assert "more" not in text_of([item()] * MOST_LINES)


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (0.1234, "share", "12.3%"),
        (1.23456, "s", "1.23 s"),
        (1234.5, "usd", "$1,234.50"),
        (5, "", "5"),
        (36.04, "hours", "36 hours"),
    ],
)
def test_figures(value: float, unit: str, written: str) -> None:
    assert figure(value, unit) == written
