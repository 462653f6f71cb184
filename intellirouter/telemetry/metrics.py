"""Prometheus metrics under the names of the deployment guides.

One registry per process, no globals. A label's values are bounded: models and providers come from the catalogue,
never from what a client typed.
"""

from __future__ import annotations

import platform
import time

import psutil
from prometheus_client import CollectorRegistry, Gauge

from intellirouter import __version__
from intellirouter.commit import commit
from intellirouter.telemetry.exposition import exposition
from intellirouter.telemetry.light import Cell, LightCounter, LightHistogram

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class RequestMeter:
    """One endpoint's children, looked up once: hashing labels for every request would cost more than counting."""

    def __init__(self, metrics: Metrics, role: str, endpoint: str) -> None:
        self._requests = metrics.requests
        self._labels = (role, endpoint)
        self._by_status: dict[int, Cell] = {}
        self._seconds = metrics.request_seconds.labels(role, endpoint)
        self._in_flight = metrics.in_flight.labels(role)

    def begin(self) -> None:
        """A request arrived."""
        self._in_flight.value += 1.0

    def end(self, status: int, seconds: float, trace_id: str = "") -> None:
        """It was answered; `trace_id` where it is traced."""
        self._in_flight.value -= 1.0
        self._seconds.observe(seconds)
        if trace_id:
            self._seconds.mark(seconds, trace_id)
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._requests.labels(*self._labels, status)
        counter.value += 1.0


class Metrics:
    """What every role counts; a role adds its own to `registry`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        build = Gauge(
            "intellirouter_build_info", "1, by what runs", ("version", "commit", "python"), registry=registry
        )
        build.labels(__version__, commit(), platform.python_version()).set(1)
        self.requests = LightCounter(
            "intellirouter_requests", "HTTP requests", ("role", "endpoint", "status"), registry
        )
        self.request_seconds = LightHistogram(
            "intellirouter_request_duration_seconds",
            "Time to the end of the answer",
            ("role", "endpoint"),
            registry,
            buckets=_LATENCY,
        )
        self.in_flight = LightCounter(
            "intellirouter_requests_in_flight", "Requests under way", ("role",), registry, gauge=True
        )
        target = ("provider", "model")
        self.llm_calls = LightCounter("llm_api_calls", "Calls to providers", (*target, "outcome"), registry)
        self.llm_seconds = LightHistogram(
            "llm_api_latency_seconds", "Time of a call to a provider", target, registry, buckets=_LATENCY
        )
        self.first_token = LightHistogram(
            "llm_time_to_first_token_seconds",
            "Time to the first token of a stream",
            target,
            registry,
            buckets=_LATENCY,
        )
        self.between_tokens = LightHistogram(
            "llm_time_between_tokens_seconds",
            "Mean time between two tokens of a stream, after the first",
            target,
            registry,
            buckets=_BETWEEN,
        )
        spender = ("key", "team", "model")
        self.spent_usd = LightCounter(
            "intellirouter_spend_usd", "Spend in US dollars by who asked", spender, registry
        )
        self.spent_requests = LightCounter(
            "intellirouter_spend_requests", "Answered requests by who asked", spender, registry
        )
        self.spent_tokens = LightCounter(
            "intellirouter_spend_tokens", "Tokens by who asked", (*spender, "kind"), registry
        )
        self.llm_tokens = LightCounter("llm_token_usage", "Tokens", (*target, "kind"), registry)
        self.llm_cost = LightCounter("llm_cost_usd", "Spend in US dollars", target, registry)
        self.failures = LightCounter(
            "intellirouter_provider_failures", "Failed calls by type", ("provider", "type"), registry
        )
        self.summaries = LightCounter(
            "intellirouter_conversation_summaries", "Running summaries by outcome", ("outcome",), registry
        )
        self.guards = LightCounter(
            "intellirouter_guard_findings",
            "What guards found, by what they did about it",
            ("guard", "kind", "action"),
            registry,
        )
        self._cpu = Gauge("cpu_usage_percent", "CPU use of the machine", registry=registry)
        self._memory = Gauge("memory_usage_bytes", "Resident memory of this process", registry=registry)
        self._started = Gauge("process_start_time_seconds", "Start, in Unix seconds", registry=registry)
        self._threads = Gauge("process_threads", "Threads of this process", registry=registry)
        self._files = Gauge("process_open_fds", "Open file descriptors", registry=registry)
        self._process = psutil.Process()
        self._started.set(time.time())

    async def render(self, *, openmetrics: bool = False) -> bytes:
        """The exposition text, with the process' own figures taken now; as OpenMetrics it has exemplars."""
        with self._process.oneshot():
            self._memory.set(self._process.memory_info().rss)
            self._threads.set(self._process.num_threads())
            self._files.set(self._process.num_fds())
        self._cpu.set(psutil.cpu_percent(interval=None))
        return await exposition(self.registry, openmetrics=openmetrics)
