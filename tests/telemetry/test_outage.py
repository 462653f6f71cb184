"""A failure that goes on is told seldom, and with a count."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from intellirouter.telemetry.outage import AGAIN_SECONDS, Outage


def test_it_is_told_at_once_then_seldom_and_when_it_is_over() -> None:
    now = 0.0
    with capture_logs() as told:
        outage = Outage(structlog.get_logger(), "ledger.not_written", "ledger.written_again", lambda: now)
        outage.done()
        for second in range(int(AGAIN_SECONDS) + 1):
            now = float(second)
            outage.failed(reason="the disk is full")
        outage.done()
        outage.done()
        outage.failed(reason="again")
    assert [(line["event"], line["failures"]) for line in told] == [
        ("ledger.not_written", 1),
        ("ledger.not_written", AGAIN_SECONDS + 1),
        ("ledger.written_again", AGAIN_SECONDS + 1),
        ("ledger.not_written", 1),
    ]
