"""What an attempt tells of itself."""

from __future__ import annotations

from intellirouter.inference.job import Attempt


def test_an_attempt_tells_when_its_request_went_out_on_a_second_connection() -> None:
    attempt = Attempt("p/m", 0.0, outcome="ok", seconds=0.0123)
    attempt.went_out()
    assert attempt.shown() == {"target": "p/m", "outcome": "ok", "ms": 12.3}
    attempt.went_out()
    assert attempt.shown()["sent"] == 2
