"""What guards found, in the metrics."""

from __future__ import annotations

from intellirouter.guards.report import Report
from intellirouter.telemetry.light import LightCounter


def count(report: Report, found: LightCounter) -> None:
    """Each finding once, by guard, kind and what was done."""
    for (guard, action, _), kinds in report.found.items():
        for kind, number in kinds.items():
            found.labels(guard, kind, action).inc(number)
