"""The learnt choice as a process makes it: weights in force, conversations that stay, and what each decision leads to.

Everything on the path of a request is in memory. What is to be kept (decisions whose outcome may still come, outcomes) goes
through `listener`, which must not block. The pure part is `learning/`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from intellirouter.bounds.kept import BoundedMap
from intellirouter.config.schema.model_registry import LearningSection
from intellirouter.inference.auto import AUTO, LEANINGS
from intellirouter.inference.catalog_entries import Candidate, ModelEntry
from intellirouter.inference.contenders import can, cost, led, ratings_of
from intellirouter.inference.decided import Decided, Weighed
from intellirouter.inference.evidence import Kept, News, evidence
from intellirouter.inference.job import Job
from intellirouter.inference.learning import outcome as outcomes
from intellirouter.inference.learning.decision import Choice, Decision, Wishes, decide, searching
from intellirouter.inference.learning.features import Features, features_of
from intellirouter.inference.learning.prior import Prior, shipped
from intellirouter.inference.learning.question import Question, needs_of, question_of
from intellirouter.inference.learning.tiers import Route, taken, tier_of
from intellirouter.inference.learning.weights import NOTHING, Weights, estimate, estimated
from intellirouter.inference.selection.option import Facts, Option
from intellirouter.inference.staying import conversation_of, fresh_share, opening_of

MAX_CONVERSATIONS = 100_000
_MAX_ASKED = 20_000
_MAX_MEASURED = 2_000
AGAIN_SECONDS = 300.0
"""The same question by the same key within this time says that the first answer was no good; a third one, that a program asks."""
WARM_SECONDS = 300.0
"""How long a provider is held to keep the beginning of a conversation in its prompt cache."""
_DEFAULTS = LearningSection()


_Repeated = tuple[str, str, str, int]
"""Who asked which group what: tenant, key, group and the hash of the question, which another process makes differently."""


class Measured(msgspec.Struct):
    """Sums over decisions of one target for one reason, for the metrics."""

    count: int = 0
    confidence: float = 0.0
    regret: float = 0.0
    saved_usd: float = 0.0


class _Asked(msgspec.Struct, frozen=True):
    """A question that was asked: when, what was decided, and how often already."""

    at: float
    keeps: Callable[[str], Kept] | None
    request_id: str
    times: int = 1


class Learned:
    """The weights in force by group, and the conversations that stay with a target."""

    def __init__(self, prior: Callable[[], Prior] = shipped) -> None:
        self.weights: dict[str, Weights] = {}
        self.listener: Callable[[News], None] = lambda _news: None
        self.on: Callable[[Job], bool] = lambda _job: True
        """Whether the choice is made at all for a job: a switch of `[features]`."""
        self.tracked: Callable[[Job], bool] = lambda _job: True
        """Whether a decision's outcome is kept and learnt from: another switch."""
        self.routes: tuple[Route, ...] = ()
        """Of `[[router.routes]]`."""
        self.measured: dict[tuple[str, str, str], Measured] = {}
        self._prior = prior
        self._stays: BoundedMap[str, tuple[str, float]] = BoundedMap(MAX_CONVERSATIONS)
        self._asked: BoundedMap[_Repeated, _Asked] = BoundedMap(_MAX_ASKED)
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
        name = conversation_of(job)
        told, at = self._stays.get(f"{group}:{name}") or ("", 0.0) if name else ("", 0.0)
        place = next((p for p in alive if candidates[p].id == told), None) if told else None
        if place is not None and section.sticky:
            rest = (*(p for p in alive if p != place), *(p for p in range(len(candidates)) if p not in alive))
            choices = [Choice(one.id, 0.0, 0.0, 0.0) for one in candidates]
            decision = Decision((place, *rest), "sticky")
            if job.request_id:
                self._count(group, choices, decision)
            return Decided(self, job, group, decision, choices)
        warm = place if time.monotonic() - at < WARM_SECONDS else None
        sticks = partial(_staying, group, name, job)
        return self._weighed(job, group, entry, section, candidates, options, facts, alive, sticks, warm)

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
        sticks: Callable[[], str],
        warm: int | None,
    ) -> Decided:
        """`warm`: the place of the candidate that holds the beginning of the conversation in its prompt cache."""
        question = question_of(job.request)
        features, prior = features_of(question), self._prior()
        needs = needs_of(job.request)
        ratings = ratings_of(candidates)
        basis = prior.basis.of(features)
        pair = prior.of(features, basis)
        found = estimated(self.weights.get(group, NOTHING), pair, features, basis, ratings)
        fresh = fresh_share(job.request) if warm is not None else 1.0
        choices = []
        for place, (one, option) in enumerate(zip(candidates, options, strict=True)):
            expected = found[one.id]
            priced = cost(option, facts, one.price, fresh if place == warm else 1.0)
            dollars = expected.cost if priced is None else priced
            choices.append(
                Choice(one.id, expected.success, expected.error, expected.outcomes, dollars, option.latency)
            )
        may = [p for p in alive if can(candidates[p], needs)] or list(alive) or list(range(len(candidates)))
        wishes = self._wishes(job, group, entry, section, [candidates[p].id for p in may])
        decision = decide([choices[p] for p in may], wishes, self._chance)
        named = self._named(section, question, features, pair[0])
        if named is not None:
            decision = led(decision, [candidates[p] for p in may], *named)
        if len(may) < len(choices):
            decision = _among(decision, may, len(choices))
        if job.request_id:
            self._count(group, [choices[p] for p in decision.order[: len(may)]], decision)
        weighed = Weighed(question, features, pair[0], tuple([found[one.id].prior for one in candidates]))
        decided = Decided(self, job, group, decision, choices, weighed, sticks)
        self._again(job, question.text, group, decided)
        return decided

    def climb(self, job: Job, group: str, steps: Sequence[str]) -> Decided:
        """What is expected of each step of a cascade; the order stays theirs."""
        question = question_of(job.request)
        features, prior = features_of(question), self._prior()
        pair = prior.of(features, prior.basis.of(features))
        ratings = {name: place / max(1, len(steps) - 1) for place, name in enumerate(steps)}
        found = estimate(self.weights.get(group, NOTHING), prior, features, ratings)
        choices = [
            Choice(name, found[name].success, found[name].error, found[name].outcomes) for name in steps
        ]
        priors = tuple([found[name].prior for name in steps])
        decision = Decision(tuple(range(len(steps))), "cascade")
        return Decided(self, job, group, decision, choices, Weighed(question, features, pair[0], priors))

    def _wishes(
        self, job: Job, group: str, entry: ModelEntry, section: LearningSection, names: Sequence[str]
    ) -> Wishes:
        """How this group decides. Who only asks to explain explores nothing."""
        known = self.weights.get(group)
        explore, least = searching(section.explore, changed=known is not None and known.exploring)
        return Wishes(
            cost_weight=section.cost_weight,
            latency_weight=section.latency_weight,
            floor=section.quality_floor,
            explore=explore if job.request_id else 0.0,
            least=least,
            default=names.index(section.default) if section.default in names else 0,
            by_price=entry.plain is not None,
        )

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
        name = (job.caller.tenant, job.caller.key_id, group, hash(text))
        now = time.monotonic()
        before = self._asked.get(name)
        if before is not None and now - before.at > AGAIN_SECONDS:
            before = None
        if before is not None and before.request_id == job.request_id:
            return
        times = before.times + 1 if before is not None else 1
        self._asked.put(name, _Asked(now, decided.keeps(decided.target), job.request_id, times))
        if before is not None and before.keeps is not None and times == 2:
            about = f"{before.request_id}:{outcomes.REPEATED}"
            self.listener(News(evidence=evidence(before.keeps(""), outcomes.REPEATED, 0.0, about)))

    def _count(self, group: str, choices: Sequence[Choice], decision: Decision) -> None:
        """`choices` hold the chosen first, or all in order where nothing was weighed."""
        chosen = choices[0] if decision.worth else choices[decision.order[0]]
        key = (group, chosen.id, decision.reason)
        sums = self.measured.get(key)
        if sums is None:
            if len(self.measured) >= _MAX_MEASURED:
                return
            sums = self.measured[key] = Measured()
        sums.count += 1
        sums.confidence += decision.confidence
        if decision.worth:
            sums.regret += max(0.0, max([choice.success for choice in choices]) - chosen.success)
            known = [choice.cost for choice in choices if choice.cost is not None]
            if chosen.cost is not None and known:
                sums.saved_usd += max(known) - chosen.cost

    def stays(self, name: str, target: str) -> None:
        """A conversation stays with this target; all nodes are told."""
        before = self._stays.get(name)
        self._stays.put(name, (target, time.monotonic()))
        if before is None or before[0] != target:
            self.listener(News(stays=(name, target)))

    def heard(self, name: str, target: str) -> None:
        """Another process says where a conversation stays."""
        self._stays.put(name, (target, time.monotonic()))


def _among(decision: Decision, may: Sequence[int], count: int) -> Decision:
    """A decision between the places `may` as one between all `count`: those that cannot serve come last."""
    worth = [0.0] * count
    for place, value in zip(may, decision.worth, strict=True):
        worth[place] = value
    order = [may[place] for place in decision.order]
    order += [place for place in range(count) if place not in may]
    return msgspec.structs.replace(decision, order=tuple(order), worth=tuple(worth))


def _staying(group: str, name: str, job: Job) -> str:
    """What the stay of a conversation is kept under: its name, or how it begins."""
    return f"{group}:{name or opening_of(job)}"
