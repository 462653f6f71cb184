"""What holds the event loop is named."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from intellirouter.telemetry.watchdog import Watchdog


def hold(watchdog: Watchdog) -> None:
    """Stands still until it was seen to."""
    end = time.monotonic() + 60
    while not watchdog.last and time.monotonic() < end:
        pass


async def test_what_holds_the_loop_is_written_down_once_with_its_place() -> None:
    registry = CollectorRegistry()
    watchdog = Watchdog(registry, held=0.5)
    with capture_logs() as lines, watchdog.watching():
        await asyncio.sleep(0)
        hold(watchdog)
        await asyncio.sleep(0.6)
        watchdog.last = ""
        found = [line for line in lines if line["event"] == "event_loop.held"]
    assert len(found) == 1
    assert "hold" in found[0]["stack"]
    assert found[0]["seconds"] >= 0.5
    assert registry.get_sample_value("intellirouter_event_loop_held_total") == 1
    assert (registry.get_sample_value("intellirouter_event_loop_held_seconds_total") or 0) >= 0.5
