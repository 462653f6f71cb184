"""What the Router's parts say to Prometheus, read when it asks: nothing is counted twice, and a request pays nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intellirouter.inference.cache.store import ResponseCache
from intellirouter.inference.learned import Learned
from intellirouter.inference.limits.gate import Gate
from intellirouter.inference.limits.terms import BudgetTerm
from intellirouter.inference.standing import Board
from intellirouter.memory.store import StateStore
from intellirouter.telemetry.metrics import Metrics

CIRCUIT = {"closed": 0, "half-open": 1, "open": 2}


class BudgetCollector(Collector):
    """What is left of the budgets that are spent from."""

    def __init__(self, budgets: Callable[[], Sequence[BudgetTerm]]) -> None:
        self._budgets = budgets

    def collect(self) -> Iterator[Metric]:
        """The families as they stand."""
        labels, now = ["who", "period"], time.time()
        left = GaugeMetricFamily(
            "intellirouter_budget_left_usd", "US dollars left of a budget", labels=labels
        )
        limit = GaugeMetricFamily("intellirouter_budget_limit_usd", "US dollars of a budget", labels=labels)
        for budget in self._budgets():
            left.add_metric([budget.who, budget.period], max(0.0, budget.purse.remaining(now)))
            limit.add_metric([budget.who, budget.period], budget.purse.limit)
        yield from (left, limit)


class SpendMeters:
    """Counts what keys and teams use, as the ledger gathers it: once a second, and nothing on the path of a request."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, key: str, team: str | None, model: str, sums: Sequence[float]) -> None:
        """See `ledger.Heard`."""
        labels = (key, team or "", model)
        usd, requests, read, written = sums
        self._metrics.spent_usd.labels(*labels).inc(usd)
        self._metrics.spent_requests.labels(*labels).inc(requests)
        self._metrics.spent_tokens.labels(*labels, "input").inc(read)
        self._metrics.spent_tokens.labels(*labels, "output").inc(written)


class RouterCollector(Collector):
    """Registered once per process."""

    def __init__(
        self,
        store: StateStore,
        board: Board,
        cache: ResponseCache,
        gate: Gate | None,
        learned: Learned | None = None,
    ) -> None:
        self._learned = learned
        self._store = store
        self._board = board
        self._cache = cache
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        """The families as they stand."""
        yield from self._state()
        yield from self._targets()
        waiting = self._gate.waiting if self._gate is not None else 0
        yield GaugeMetricFamily("queue_depth", "Requests that wait for a place", value=waiting)
        if self._cache.section.enabled:
            yield from self._responses()
        if self._learned is not None and self._learned.measured:
            yield from self._decisions(self._learned)

    def _decisions(self, learned: Learned) -> Iterator[Metric]:
        """What was decided, why, how surely, and what that is estimated to have cost and saved."""
        labels = ["group", "target", "reason"]
        count = CounterMetricFamily("intellirouter_route_decisions", "Decisions", labels=labels)
        sure = CounterMetricFamily(
            "intellirouter_route_confidence", "Sum of the confidence of decisions, 0 to 1 each", labels=labels
        )
        regret = CounterMetricFamily(
            "intellirouter_route_regret", "Sum of expected success given up for cost and time", labels=labels
        )
        saved = CounterMetricFamily(
            "intellirouter_route_saved_usd", "Expected dollars less than at the dearest target", labels=labels
        )
        for key, sums in list(learned.measured.items()):
            count.add_metric(key, sums.count)
            sure.add_metric(key, sums.confidence)
            regret.add_metric(key, sums.regret)
            saved.add_metric(key, sums.saved_usd)
        yield from (count, sure, regret, saved)
        outcomes = GaugeMetricFamily(
            "intellirouter_route_outcomes", "Weight of the outcomes learnt from", labels=["group", "target"]
        )
        for group, weights in list(learned.weights.items()):
            for target, fact in zip(weights.targets, weights.facts, strict=True):
                outcomes.add_metric([group, target], fact.weight)
        yield outcomes

    def _state(self) -> Iterator[Metric]:
        health = self._store.health()
        degraded = GaugeMetricFamily(
            "intellirouter_state_degraded", "1 while state is served from this node alone", labels=["backend"]
        )
        degraded.add_metric([health.backend], float(health.status != "healthy"))
        yield degraded
        if health.backend == "redis":
            connected = float(health.status == "healthy")
            yield GaugeMetricFamily("redis_connected", "1 while Redis answers", value=connected)

    def _targets(self) -> Iterator[Metric]:
        circuits = GaugeMetricFamily(
            "circuit_breaker_state", "0 closed, 1 half-open, 2 open", labels=["target"]
        )
        calls = GaugeMetricFamily("intellirouter_target_calls", "Calls under way", labels=["target"])
        now = self._board.clock()
        for name, standing in self._board.known().items():
            circuits.add_metric([name], CIRCUIT[standing.circuit.state(now)])
            calls.add_metric([name], standing.load)
        yield circuits
        yield calls

    def _responses(self) -> Iterator[Metric]:
        stats = self._cache.stats
        outcomes = CounterMetricFamily(
            "intellirouter_cache", "Requests by what the response cache said", labels=["outcome"]
        )
        for outcome in ("hits", "misses", "stale", "canned"):
            outcomes.add_metric([outcome], getattr(stats, outcome))
        yield outcomes
        size = float(self._cache.shown()["bytes"])
        yield GaugeMetricFamily("intellirouter_cache_bytes", "Answers kept in this process", value=size)
