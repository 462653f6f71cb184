"""The learnt choice as a process makes it: weights in force, conversations that stay, and what each decision leads to.

Everything on the path of a request is in memory. What is to be kept (decisions whose outcome may still come, outcomes) goes
through `listener`, which must not block. The pure part is `learning/`.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from intellirouter.bounds.kept import BoundedMap
from intellirouter.config.schema.model_registry import LearningSection
from intellirouter.inference.auto import AUTO, LEANINGS
from intellirouter.inference.catalog_entries import Candidate, ModelEntry
from intellirouter.inference.job import Job
from intellirouter.inference.learning import outcome as outcomes
from intellirouter.inference.learning.decision import Choice, Decision, Wishes, decide
from intellirouter.inference.learning.features import Features, features_of
from intellirouter.inference.learning.prior import Prior, between, shipped
from intellirouter.inference.learning.question import Question, needs_of, question_of
from intellirouter.inference.learning.tiers import Route, taken, tier_of
from intellirouter.inference.learning.weights import NOTHING, Weights, estimated
from intellirouter.inference.selection.cost import expected_cost
from intellirouter.inference.selection.option import Facts, Option

MAX_CONVERSATIONS = 100_000
_MAX_ASKED = 20_000
_MAX_MEASURED = 2_000
AGAIN_SECONDS = 300.0
"""The same question by the same key within this time says that the first answer was no good."""
_PREFIX = 2_000
_SESSION_HEADERS = ("x-intellirouter-session", "session_id", "x-session-id", "x-session-affinity")
"""Of agents that name their run."""
_DEFAULTS = LearningSection()


class Evidence(msgspec.Struct, frozen=True):
    """One outcome on its way to whoever learns. `structure` and `slots` are the features as bytes; `key` is a hash."""

    id: str
    group: str
    target: str
    score: float
    kind: str
    prior: float
    propensity: float
    key: str
    structure: bytes
    slots: bytes
    at: float


class Kept(msgspec.Struct, frozen=True):
    """A decision whose outcome may still come, as it is kept for feedback."""

    request_id: str
    tenant: str
    group: str
    target: str
    prior: float
    propensity: float
    key: str
    structure: bytes
    slots: bytes
    response_id: str = ""


class News(msgspec.Struct, frozen=True):
    """What the listener is told: exactly one field is set."""

    kept: Kept | None = None
    evidence: Evidence | None = None
    stays: tuple[str, str] | None = None


class Measured(msgspec.Struct):
    """Sums over decisions of one target for one reason, for the metrics."""

    count: int = 0
    confidence: float = 0.0
    regret: float = 0.0
    saved_usd: float = 0.0


class Decided:
    """One decision, its explanation, and the door for its outcome."""

    __slots__ = (
        "_choices", "_decision", "_done", "_features", "_group", "_job", "_learned", "_priors", "_sticks",
        "response_id", "target",
    )  # fmt: skip

    def __init__(
        self,
        learned: Learned,
        job: Job,
        group: str,
        decision: Decision,
        choices: Sequence[Choice],
        features: Features | None = None,
        priors: Sequence[float] = (),
        sticks: str = "",
    ) -> None:
        self._learned, self._job, self._group = learned, job, group
        self._decision, self._choices, self._features, self._priors = decision, choices, features, priors
        self._sticks = sticks
        self._done = False
        self.target = choices[decision.order[0]].id if choices else ""
        self.response_id = ""

    @property
    def order(self) -> tuple[int, ...]:
        """The candidates' places, best first."""
        return self._decision.order

    @property
    def reason(self) -> str:
        """Why the first is the first."""
        return self._decision.reason

    def shown(self) -> dict[str, Any]:
        """For an explanation."""
        return {"group": self._group, **self._decision.shown(self._choices)}

    def answered(self, answered_by: str, response_id: str, signal: str | None) -> None:
        """The answer is complete: who gave it, under which id, and what speaks against it (a kind of outcome)."""
        if self._done:
            return
        self._done = True
        if self._sticks:
            self._learned.stays(self._sticks, answered_by)
        kept = self._kept(answered_by, response_id)
        if kept is None:
            return
        self._learned.listener(News(kept=kept))
        if signal is not None:
            self._learned.listener(News(evidence=evidence(kept, signal, 0.0, f"{kept.request_id}:{signal}")))

    def failed(self, target: str) -> None:
        """A target gave no answer."""
        kept = self._kept(target, "")
        if kept is not None:
            name = f"{kept.request_id}:{outcomes.ERROR}:{target}"
            self._learned.listener(News(evidence=evidence(kept, outcomes.ERROR, 0.0, name)))

    def _kept(self, target: str, response_id: str) -> Kept | None:
        features, job = self._features, self._job
        place = next((place for place, choice in enumerate(self._choices) if choice.id == target), None)
        if features is None or place is None or not self._learned.tracked(job):
            return None
        first = place == self._decision.order[0]
        return Kept(
            request_id=job.request_id,
            tenant=job.caller.tenant,
            group=self._group,
            target=target,
            prior=round(self._priors[place], 4),
            propensity=self._decision.propensity if first else 1.0,
            key=key_of(job.caller.tenant, job.caller.key_id),
            structure=features.structure.astype("<f2").tobytes(),
            slots=features.slots.astype("<u2").tobytes(),
            response_id=response_id[:128],
        )


def key_of(tenant: str, key_id: str) -> str:
    """A key as what is learnt may know it."""
    return hashlib.blake2b(f"{tenant}\0{key_id}".encode(), digest_size=8).hexdigest()


def evidence(kept: Kept, kind: str, score: float, name: str) -> Evidence:
    """The outcome of a kept decision. `name` makes it one: the same name is learnt from once."""
    return Evidence(
        id=hashlib.blake2b(f"{kept.tenant}\0{name}".encode(), digest_size=8).hexdigest(),
        group=kept.group,
        target=kept.target,
        score=score,
        kind=kind,
        prior=kept.prior,
        propensity=kept.propensity,
        key=kept.key,
        structure=kept.structure,
        slots=kept.slots,
        at=time.time(),
    )


class Learned:
    """The weights in force by group, and the conversations that stay with a target."""

    def __init__(self, prior: Callable[[], Prior] = shipped) -> None:
        self.weights: dict[str, Weights] = {}
        self.exploring: dict[str, float] = {}
        self.listener: Callable[[News], None] = lambda _news: None
        self.on: Callable[[Job], bool] = lambda _job: True
        """Whether the choice is made at all for a job: a switch of `[features]`."""
        self.tracked: Callable[[Job], bool] = lambda _job: True
        """Whether a decision's outcome is kept and learnt from: another switch."""
        self.routes: tuple[Route, ...] = ()
        """Of `[[router.routes]]`."""
        self.measured: dict[tuple[str, str, str], Measured] = {}
        self._prior = prior
        self._stays: BoundedMap[str, str] = BoundedMap(MAX_CONVERSATIONS)
        self._asked: BoundedMap[str, tuple[float, Kept | None, str]] = BoundedMap(_MAX_ASKED)
        self._chance = random.Random()  # noqa: S311  draws who explores, no secret

    def decide(
        self,
        job: Job,
        entry: ModelEntry,
        candidates: Sequence[Candidate],
        options: Sequence[Option],
        facts: Facts,
        alive: Sequence[int],
    ) -> Decided:
        """The order of `candidates` for this request. `alive` are those that can be asked now."""
        section = entry.learning or _DEFAULTS
        group = AUTO if entry.name in LEANINGS else entry.name
        name = conversation_of(job) if section.sticky else ""
        if name:
            stays = self._stays.get(f"{group}:{name}")
            place = next((p for p in alive if candidates[p].id == stays), None)
            if place is not None:
                rest = [
                    *(p for p in alive if p != place),
                    *(p for p in range(len(candidates)) if p not in alive),
                ]
                choices = [Choice(one.id, 0.0, 0.0, 0.0) for one in candidates]
                decision = Decision((place, *rest), "sticky")
                if job.request_id:
                    self._count(group, choices, decision)
                return Decided(self, job, group, decision, choices)
        sticks = f"{group}:{name or opening_of(job)}" if section.sticky else ""
        return self._weighed(job, group, entry, section, candidates, options, facts, alive, sticks)

    def _weighed(
        self,
        job: Job,
        group: str,
        entry: ModelEntry,
        section: LearningSection,
        candidates: Sequence[Candidate],
        options: Sequence[Option],
        facts: Facts,
        alive: Sequence[int],
        sticks: str,
    ) -> Decided:
        question = question_of(job.request)
        features, prior = features_of(question), self._prior()
        needs = needs_of(job.request, facts.input_tokens)
        ratings = ratings_of(candidates)
        basis = prior.basis.of(features)
        pair = prior.of(features, basis)
        found = estimated(self.weights.get(group, NOTHING), pair, features, basis, ratings)
        choices = [
            Choice(
                id=one.id,
                success=found[one.id].success,
                error=found[one.id].error,
                outcomes=found[one.id].outcomes,
                cost=_cost(option, facts),
                seconds=option.latency,
            )
            for one, option in zip(candidates, options, strict=True)
        ]
        may = [p for p in alive if _can(candidates[p], needs)] or list(alive) or list(range(len(candidates)))
        default = next((i for i, p in enumerate(may) if candidates[p].id == section.default), 0)
        wishes = Wishes(
            cost_weight=section.cost_weight,
            latency_weight=section.latency_weight,
            floor=section.quality_floor,
            explore=max(section.explore, self.exploring.get(group, 0.0)) if section.explore else 0.0,
            default=default,
            by_price=entry.plain is not None,
        )
        decision = decide([choices[p] for p in may], wishes, self._chance)
        named = self._named(section, question, features, pair[0])
        if named is not None:
            decision = _led(decision, [candidates[p] for p in may], *named)
        worth = [0.0] * len(choices)
        for place, value in zip(may, decision.worth, strict=True):
            worth[place] = value
        order = (*(may[p] for p in decision.order), *(p for p in range(len(choices)) if p not in may))
        decision = msgspec.structs.replace(decision, order=order, worth=tuple(worth))
        if job.request_id:
            self._count(group, [choices[p] for p in (order[0], *(q for q in may if q != order[0]))], decision)
        priors = [between(pair, ratings[one.id]) for one in candidates]
        decided = Decided(self, job, group, decision, choices, features, priors, sticks)
        self._again(job, question.text, group, decided)
        return decided

    def _named(
        self, section: LearningSection, question: Question, features: Features, weak: float
    ) -> tuple[tuple[str, ...], str] | None:
        """Targets (ids or tags) that the configuration names for such a question, and why."""
        if self.routes and (found := taken(self.routes, features)) is not None:
            return found[0].targets, f"route {found[0].name}"
        if section.tiers is not None:
            tier = tier_of(question, weak)
            target = section.tiers.target(tier)
            return None if target is None else ((target,), f"tier {tier}")
        return None

    def _again(self, job: Job, text: str, group: str, decided: Decided) -> None:
        """The same question soon after, outside of a conversation: its last answer was not what was wanted."""
        if not job.request_id:  # only asked to explain
            return
        name = hashlib.blake2b(
            f"{job.caller.tenant}\0{job.caller.key_id}\0{group}\0{text}".encode("utf-8", "replace"),
            digest_size=12,
        ).hexdigest()
        now = time.monotonic()
        before = self._asked.get(name)
        kept = decided._kept(decided.target, "")  # noqa: SLF001  the same room
        self._asked.put(name, (now, kept, job.request_id))
        if (
            before is None
            or now - before[0] > AGAIN_SECONDS
            or before[1] is None
            or before[2] == job.request_id
        ):
            return
        earlier = before[1]
        self.listener(
            News(
                evidence=evidence(
                    earlier, outcomes.REPEATED, 0.0, f"{earlier.request_id}:{outcomes.REPEATED}"
                )
            )
        )

    def _count(self, group: str, choices: Sequence[Choice], decision: Decision) -> None:
        """`choices` hold the chosen first, or all in order where nothing was weighed."""
        chosen = choices[0] if decision.worth else choices[decision.order[0]]
        key = (group, chosen.id, decision.reason)
        if key not in self.measured and len(self.measured) >= _MAX_MEASURED:
            return
        sums = self.measured.setdefault(key, Measured())
        sums.count += 1
        sums.confidence += decision.confidence
        if decision.worth:
            sums.regret += max(0.0, max(choice.success for choice in choices) - chosen.success)
            known = [choice.cost for choice in choices if choice.cost is not None]
            if chosen.cost is not None and known:
                sums.saved_usd += max(known) - chosen.cost

    def stays(self, name: str, target: str) -> None:
        """A conversation stays with this target; all nodes are told."""
        if self._stays.get(name) != target:
            self._stays.put(name, target)
            self.listener(News(stays=(name, target)))

    def heard(self, name: str, target: str) -> None:
        """Another process says where a conversation stays."""
        self._stays.put(name, target)


def conversation_of(job: Job) -> str:
    """What an earlier request may have been the beginning of: empty for a first question that names nothing."""
    request, tenant = job.request, job.caller.tenant
    options = request.options
    named = (options.conversation if options else None) or request.prompt_cache_key
    if not named:
        named = next((value for header in _SESSION_HEADERS if (value := job.headers.get(header))), None)
    if named:
        return f"{tenant}:{named[:200]}"
    return opening_of(job) if any(message.role in _LATER for message in request.messages) else ""


_LATER: tuple[Literal["assistant", "tool"], ...] = ("assistant", "tool")


def opening_of(job: Job) -> str:
    """How a conversation begins: its instructions and the first thing said, hashed."""
    digest = hashlib.blake2b(digest_size=12)
    for message in job.request.messages[:8]:
        digest.update(message.text[:_PREFIX].encode("utf-8", "replace"))
        digest.update(b"\0")
        if message.role == "user":
            break
    return f"{job.caller.tenant}:{job.caller.key_id}:{digest.hexdigest()}"


def ratings_of(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Where each stands between the cheapest and the dearest, 0 to 1, by rank; the middle where no price is known."""
    prices = {one.id: one.price.input + one.price.output for one in candidates if one.price is not None}
    ranked = sorted(set(prices.values()))
    if len(ranked) < 2:
        return dict.fromkeys((one.id for one in candidates), 0.5)
    step = 1 / (len(ranked) - 1)
    return {one.id: ranked.index(prices[one.id]) * step if one.id in prices else 0.0 for one in candidates}


def _led(
    decision: Decision, candidates: Sequence[Candidate], targets: tuple[str, ...], reason: str
) -> Decision:
    """The decision with the named targets first, where one of them can serve."""
    first = [
        place
        for target in targets
        for place in decision.order
        if target == candidates[place].id or target in candidates[place].tags
    ]
    if not first:
        return decision
    order = dict.fromkeys((*first, *decision.order))
    return msgspec.structs.replace(
        decision, order=tuple(order), reason=reason, propensity=1.0, confidence=1.0
    )


def _can(candidate: Candidate, needs: object) -> bool:
    """Whether a target is known to lack nothing the request needs."""
    known = candidate.capabilities
    return not known or all(
        name in known
        for name in ("vision", "tools", "json_schema", "audio", "pdf")
        if getattr(needs, name, False) and (name != "audio" or "audio" in known)
    )


def _cost(option: Option, facts: Facts) -> float | None:
    cost = expected_cost(option, facts)
    return None if cost == float("inf") else cost
