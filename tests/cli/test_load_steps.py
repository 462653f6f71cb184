"""What `intellirouter loadtest` tells of a rate."""

from __future__ import annotations

from intellirouter.cli.load_steps import Step
from intellirouter.cli.loadtest import _line, _shown


def test_times_are_told_by_their_percentiles() -> None:
    told = Step(rate=20.0, seconds=[number / 1000 for number in range(1, 1001)], errors=2, late=True)
    assert _shown(told) == {
        "rate": 20.0,
        "sent": 1002,
        "errors": 2,
        "overrun": False,
        "late": True,
        "p50_seconds": 0.5,
        "p90_seconds": 0.9,
        "p95_seconds": 0.95,
        "p99_seconds": 0.99,
        "p99.9_seconds": 0.999,
    }
    assert _line(told).split() == ["20.0", "1002", "2", "500.0", "900.0", "990.0", "sent", "late"]


def test_where_nothing_was_answered_there_are_no_times() -> None:
    told = Step(rate=20.0, errors=3, overrun=True)
    assert {_shown(told)[f"p{share}_seconds"] for share in ("50", "90", "95", "99", "99.9")} == {None}
    assert _line(told).split() == ["20.0", "3", "3", "inf", "inf", "inf", "far", "behind"]
