"""Where outcomes go: the metrics."""

from __future__ import annotations

from intellirouter.chat.response import Usage
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.cost import cost_usd
from intellirouter.telemetry.metrics import Metrics


class Recorder:
    """Counts calls, tokens, cost and failures per provider and model."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, candidate: Candidate, seconds: float) -> None:
        """A target answered after `seconds` (of a stream: its first token)."""
        provider, model = candidate.provider.name, candidate.target.model
        self._metrics.llm_calls.labels(provider, model, "ok").inc()
        self._metrics.llm_seconds.labels(provider, model).observe(seconds)

    def failed(self, candidate: Candidate, error: IntelliRouterError, seconds: float) -> None:
        """A target failed."""
        provider, model = candidate.provider.name, candidate.target.model
        self._metrics.llm_calls.labels(provider, model, "error").inc()
        self._metrics.failures.labels(provider, error.code).inc()
        if seconds:
            self._metrics.llm_seconds.labels(provider, model).observe(seconds)

    def used(self, candidate: Candidate, usage: Usage) -> float | None:
        """Tokens were used; their cost in US dollars where a price is known."""
        provider, model = candidate.provider.name, candidate.target.model
        tokens = self._metrics.llm_tokens
        tokens.labels(provider, model, "input").inc(usage.input_tokens)
        tokens.labels(provider, model, "output").inc(usage.output_tokens)
        if usage.cached_tokens:
            tokens.labels(provider, model, "cached").inc(usage.cached_tokens)
        if candidate.price is None:
            return None
        cost = cost_usd(usage, candidate.price)
        self._metrics.llm_cost.labels(provider, model).inc(cost)
        return cost
