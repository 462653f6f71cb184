"""The metrics of runs and steps, under the deployment guide's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from intellirouter.telemetry.light import LightCounter, LightHistogram

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 86_400)


class ChainMeters:
    """Of one node. Labels are outcomes and kinds of steps: what a caller names is no label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = LightCounter("workflow_executions", "Ended runs", ("status",), registry)
        self._run_seconds = LightHistogram(
            "workflow_duration_seconds", "Time from a run's start to its end", (), registry, buckets=_SECONDS
        )
        self.active = LightCounter(
            "workflow_active_count", "Runs under way, waiting ones included", (), registry, gauge=True
        ).labels()
        self._steps = LightCounter("task_executions", "Executed steps", ("kind", "status"), registry)
        self._step_seconds = LightHistogram(
            "task_duration_seconds", "Time of a step, retries included", ("kind",), registry, buckets=_SECONDS
        )
        # the guide's name has no `_total`, which the exposition of a counter would add
        self._retries = LightCounter(
            "task_retry_count", "Steps tried again, since the start", (), registry, gauge=True
        ).labels()

    def ended(self, status: str, seconds: float) -> None:
        """A run came to its end."""
        self._runs.labels(status).inc()
        self._run_seconds.labels().observe(seconds)

    def step(self, event: str, facts: Mapping[str, Any]) -> None:
        """Something happened to a step."""
        if event == "step_retry":
            self._retries.inc()
        elif event in ("step_finished", "step_failed"):
            self._steps.labels(facts["kind"], event.removeprefix("step_")).inc()
            self._step_seconds.labels(facts["kind"]).observe(facts["seconds"])
