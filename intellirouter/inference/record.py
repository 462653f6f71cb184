"""Where outcomes go: the metrics."""

from __future__ import annotations

from intellirouter.chat.response import Usage
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.catalog import Candidate
from intellirouter.telemetry.light import Cell
from intellirouter.telemetry.metrics import Metrics

MAX_MODELS = 5_000
OTHER = "other"
"""What models are counted as once there are too many: clients may name any, and each is a time series."""


class _Meter:
    """The prepared counters of one model of one provider: a lookup by labels costs more than all the rest."""

    __slots__ = ("between", "cached", "cost", "error", "first", "input", "labels", "ok", "output", "seconds")

    def __init__(self, metrics: Metrics, provider: str, model: str) -> None:
        self.ok = metrics.llm_calls.labels(provider, model, "ok")
        self.error = metrics.llm_calls.labels(provider, model, "error")
        self.seconds = metrics.llm_seconds.labels(provider, model)
        self.input = metrics.llm_tokens.labels(provider, model, "input")
        self.output = metrics.llm_tokens.labels(provider, model, "output")
        self.cached = metrics.llm_tokens.labels(provider, model, "cached")
        self.first = metrics.first_token.labels(provider, model)
        self.between = metrics.between_tokens.labels(provider, model)
        self.cost: Cell | None = None
        self.labels = (provider, model)


class Recorder:
    """Counts calls, tokens, cost and failures per provider and model."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._meters: dict[str, _Meter] = {}

    def answered(self, candidate: Candidate, seconds: float) -> None:
        """A target answered after `seconds` (of a stream: its first token)."""
        meter = self._meter(candidate)
        meter.ok.value += 1.0
        meter.seconds.observe(seconds)

    def failed(self, candidate: Candidate, error: IntelliRouterError, seconds: float) -> None:
        """A target failed."""
        meter = self._meter(candidate)
        meter.error.inc()
        self._metrics.failures.labels(candidate.provider.name, error.code).inc()
        if seconds:
            meter.seconds.observe(seconds)

    def streamed(self, candidate: Candidate, first: float, rest: float, tokens: int) -> None:
        """A stream is over: its first token came after `first` seconds, the others of its `tokens` in `rest`."""
        meter = self._meter(candidate)
        meter.first.observe(first)
        if tokens > 1:
            meter.between.observe(rest / (tokens - 1))

    def used(self, candidate: Candidate, usage: Usage, cost: float | None) -> None:
        """Tokens were used, for so many US dollars where a price is known."""
        meter = self._meter(candidate)
        meter.input.value += usage.input_tokens
        meter.output.value += usage.output_tokens
        if usage.cached_tokens:
            meter.cached.inc(usage.cached_tokens)
        if cost is None:
            return
        if meter.cost is None:  # only what has a price has a series of costs
            meter.cost = self._metrics.llm_cost.labels(*meter.labels)
        meter.cost.value += cost

    def _meter(self, candidate: Candidate) -> _Meter:
        meter = self._meters.get(candidate.id)
        if meter is None:
            provider, model = candidate.provider.name, candidate.target.model
            known = len(self._meters) < MAX_MODELS
            key = candidate.id if known else f"{provider}/{OTHER}"
            meter = self._meters.get(key) or _Meter(self._metrics, provider, model if known else OTHER)
            self._meters[key] = meter
        return meter
