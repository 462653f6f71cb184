"""The plan of one request: which candidates may serve it, in which order, and why the others may not."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from intellirouter.errors import InvalidRequest, ModelNotFound, UpstreamUnavailable
from intellirouter.inference.catalog import Candidate, Catalog, ModelEntry
from intellirouter.inference.decided import Decided
from intellirouter.inference.facts import facts_of
from intellirouter.inference.job import Job
from intellirouter.inference.learned import Learned
from intellirouter.inference.permission import permitted, visible
from intellirouter.inference.selection.option import Facts, Option, Rule
from intellirouter.inference.selection.rules import allowed
from intellirouter.inference.selection.table import (
    KEEP_TOGETHER,
    LEARNED,
    READ_THE_REQUEST,
    STRATEGIES,
    strategy_name,
)
from intellirouter.inference.standing import Board, witness_of

MAX_FALLBACKS = 16


class Plan(msgspec.Struct):
    """Candidates in the order to try them. `passed_over` says of each other one why."""

    candidates: list[Candidate]
    strategy: str
    passed_over: dict[str, str] = {}
    retry_after: float = 0.0
    decided: Decided | None = None

    def shown(self) -> dict[str, Any]:
        """For an explanation. Not to be changed: where there was nothing to choose, all requests have the same."""
        if self.lone():
            return lone_plan(self.strategy, self.candidates[0].id)
        return {
            "strategy": self.strategy,
            "order": [candidate.id for candidate in self.candidates],
            "passed_over": self.passed_over,
            **({"selection": self.decided.shown()} if self.decided is not None else {}),
        }

    def lone(self) -> str:
        """The strategy where there was nothing to choose, which then tells it all; else empty."""
        if len(self.candidates) == 1 and not self.passed_over and self.decided is None:
            return self.strategy
        return ""


@lru_cache(4096)
def lone_plan(strategy: str, target: str) -> dict[str, Any]:
    """What is shown of a plan with nothing to choose. Not to be changed."""
    return {"strategy": strategy, "order": [target], "passed_over": {}}


class Planner:
    """Makes plans from the catalogue and the board. Holds whose turn it is, per model."""

    def __init__(
        self,
        catalog: Catalog,
        board: Board,
        *,
        strategy: str,
        rules: tuple[Rule, ...] = (),
        learned: Learned | None = None,
    ) -> None:
        self._catalog = catalog
        self._board = board
        self._learned = learned
        self.configure(strategy, rules)
        self._turns: Counter[str] = Counter()
        self._chance = random.Random()  # noqa: S311  draws targets, no secret

    def configure(self, strategy: str, rules: tuple[Rule, ...]) -> None:
        """Take these in place of the last ones. Raises `InvalidRequest` for a wrong strategy."""
        self._default = strategy_name(strategy)
        self._rules = rules

    def plan(self, job: Job, entry: ModelEntry) -> Plan:
        """The plan. Raises `UpstreamUnavailable` when every circuit is open, `InvalidRequest` for a wrong strategy,
        `PermissionDenied` for a fallback the caller may not use."""
        options = job.request.options
        strategy = self._default
        if options is not None and options.strategy:
            strategy = strategy_name(options.strategy)
        elif entry.strategy:
            strategy = strategy_name(entry.strategy)
        if strategy == LEARNED and entry.plain is not None and not self._selects(job):
            entry = entry.plain
            strategy = entry.strategy or self._default
        plan = Plan([], strategy)
        self._extend(plan, job, entry, strategy)
        extra = options.fallbacks if options is not None else ()
        for name in () if job.alone else (*extra[:MAX_FALLBACKS], *entry.fallbacks):
            given = name in extra
            self._extend(plan, job, self._fallback(job, name, given=given), strategy)
        if not plan.candidates:
            raise _nobody(plan, entry)
        return plan

    def _selects(self, job: Job) -> bool:
        return self._learned is not None and self._learned.on(job)

    def _fallback(self, job: Job, name: str, *, given: bool) -> ModelEntry:
        """Any that the operator wrote down; of those a request names, what its caller may use."""
        if not given:
            return self._catalog.resolve(name)
        field = "intellirouter.fallbacks"
        try:
            return permitted(self._catalog, job.caller, name, granted=job.granted, param=field)
        except ModelNotFound as error:
            raise InvalidRequest(f"fallback: {error.message}", param=field) from error

    def _extend(self, plan: Plan, job: Job, entry: ModelEntry, strategy: str) -> None:
        now = self._board.clock()
        drained = self._board.drained
        resting: list[Candidate] = []
        taken = {one.id for one in plan.candidates} if plan.candidates else set()
        for candidate in self._ordered(plan, job, entry, strategy):
            standing = self._board.of(candidate)
            if candidate.id in taken:
                continue
            taken.add(candidate.id)
            if drained and (candidate.id in drained or candidate.provider.name in drained):
                plan.passed_over[candidate.id] = "it is being drained"
            elif not standing.circuit.closed and not standing.circuit.would_admit(
                now, witness_of(job.caller)
            ):
                wait = standing.circuit.opens_in(now)
                plan.passed_over[candidate.id] = f"its circuit is open for {wait:.1f} s more"
                plan.retry_after = min(plan.retry_after or wait, wait)
            elif standing.resting_until > now or not standing.provider.headroom(now):
                resting.append(candidate)
            else:
                plan.candidates.append(candidate)
        plan.candidates.extend(resting)

    def _ordered(self, plan: Plan, job: Job, entry: ModelEntry, strategy: str) -> Sequence[Candidate]:
        candidates = entry.candidates
        if entry.members and not job.caller.may_use(entry.name):
            candidates = self._usable(job, entry)
        if len(candidates) == 1:
            return candidates
        self._turns[entry.name] += 1
        options = self._options(candidates)
        facts = self._facts(job, entry, strategy)
        may = allowed(options, facts) if self._rules else range(len(options))
        fits = [index for index in may if _fits(candidates[index], facts)] or list(may)
        if (
            strategy == LEARNED
            and self._learned is not None
            and plan.decided is None
            and self._learned.on(job)
        ):
            asked = [candidates[index] for index in fits]
            alive = self._alive(job, asked)
            plan.decided = self._learned.decide(
                job, entry, asked, [options[index] for index in fits], facts, alive
            )
            return [asked[place] for place in plan.decided.order]
        order = STRATEGIES[strategy]([options[index] for index in fits], facts)
        return [candidates[fits[place]] for place in order]

    def _usable(self, job: Job, entry: ModelEntry) -> tuple[Candidate, ...]:
        """What the caller's key may use of a group that nobody configured."""
        may = {
            candidate.id
            for member in entry.members
            if visible(self._catalog, job.caller, member)
            for candidate in member.candidates
        }
        return tuple(candidate for candidate in entry.candidates if candidate.id in may)

    def _alive(self, job: Job, candidates: Sequence[Candidate]) -> list[int]:
        """Which targets can be asked now: nothing is learnt from asking another in the place of one that cannot."""
        now, drained = self._board.clock(), self._board.drained
        alive = []
        for place, candidate in enumerate(candidates):
            if drained and (candidate.id in drained or candidate.provider.name in drained):
                continue
            standing = self._board.of(candidate)
            circuit = standing.circuit
            if (
                circuit.closed or circuit.would_admit(now, witness_of(job.caller))
            ) and standing.resting_until <= now:
                alive.append(place)
        return alive

    def _facts(self, job: Job, entry: ModelEntry, strategy: str) -> Facts:
        turn = self._turns[entry.name] - 1
        bounded = any(candidate.context_window is not None for candidate in entry.candidates)
        if not (bounded or self._rules or strategy in READ_THE_REQUEST):
            return Facts(turn=turn, chance=self._chance)  # reading a long prompt costs, and nobody asks
        return facts_of(
            job.request,
            headers=job.headers,
            tenant=job.caller.tenant,
            turn=turn,
            rules=self._rules,
            chance=self._chance,
            affine=strategy in KEEP_TOGETHER,
        )

    def _options(self, candidates: Sequence[Candidate]) -> list[Option]:
        now = self._board.clock()
        options = []
        for candidate in candidates:
            standing = self._board.of(candidate)
            price = candidate.price
            options.append(
                Option(
                    id=candidate.id,
                    weight=candidate.weight,
                    load=standing.load,
                    latency=standing.latency,
                    input_price=price.input if price else None,
                    output_price=price.output if price else None,
                    headroom=standing.provider.headroom(now),
                    tags=candidate.tags,
                )
            )
        return options


def _fits(candidate: Candidate, facts: Facts) -> bool:
    return candidate.context_window is None or facts.input_tokens <= candidate.context_window


def _nobody(plan: Plan, entry: ModelEntry) -> UpstreamUnavailable:
    reasons: Mapping[str, str] = plan.passed_over
    if not reasons:
        return UpstreamUnavailable(f"no target is configured for the model '{entry.name}'")
    shown = "; ".join(f"{target}: {reason}" for target, reason in list(reasons.items())[:5])
    return UpstreamUnavailable(
        f"no target of the model '{entry.name}' can be asked now: {shown}", retry_after=plan.retry_after
    )
