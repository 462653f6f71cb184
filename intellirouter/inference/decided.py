"""One decision under way: its order, its explanation, and the door for its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from intellirouter.inference.evidence import Kept, News, evidence, key_of
from intellirouter.inference.job import Job
from intellirouter.inference.learning import outcome as outcomes
from intellirouter.inference.learning.decision import Choice, Decision
from intellirouter.inference.learning.features import Features
from intellirouter.inference.learning.prior import kind_of
from intellirouter.inference.learning.question import Question
from intellirouter.inference.learning.tiers import tier_of


class Hearer(Protocol):
    """Who hears how decisions went."""

    listener: Callable[[News], None]
    tracked: Callable[[Job], bool]

    def stays(self, name: str, target: str) -> None:
        """A conversation stays with this target."""


class Weighed(msgspec.Struct, frozen=True):
    """What a decision was made of. `weak`: how likely a small model is held to answer `question`; `priors` by target."""

    question: Question
    features: Features
    weak: float
    priors: tuple[float, ...]


class Decided:
    """One decision, its explanation, and the door for its outcome."""

    __slots__ = (
        "_choices",
        "_decision",
        "_done",
        "_group",
        "_hearer",
        "_job",
        "_sticks",
        "_weighed",
        "target",
    )

    def __init__(
        self,
        hearer: Hearer,
        job: Job,
        group: str,
        decision: Decision,
        choices: Sequence[Choice],
        weighed: Weighed | None = None,
        sticks: Callable[[], str] | None = None,
    ) -> None:
        """`sticks`: the name of the conversation that stays with whoever answers, asked for once there is an answer."""
        self._hearer, self._job, self._group = hearer, job, group
        self._decision, self._choices, self._weighed = decision, choices, weighed
        self._sticks = sticks
        self._done = False
        self.target = choices[decision.order[0]].id if choices else ""

    @property
    def order(self) -> tuple[int, ...]:
        """The candidates' places, best first."""
        return self._decision.order

    @property
    def choices(self) -> Sequence[Choice]:
        """What was expected of each candidate."""
        return self._choices

    @property
    def reason(self) -> str:
        """Why the first is the first."""
        return self._decision.reason

    def shown(self) -> dict[str, Any]:
        """For an explanation."""
        shown = {"group": self._group, **self._decision.shown(self._choices)}
        if (one := self._weighed) is not None:
            shown |= {"kind": kind_of(one.weak), "tier": tier_of(one.question, one.weak)}
        return shown

    def answered(self, answered_by: str, response_id: str, signal: str | None) -> None:
        """The answer is complete: who gave it, under which id, and what speaks against it (a kind of outcome)."""
        if self._done:
            return
        self._done = True
        if self._sticks is not None:
            self._hearer.stays(self._sticks(), answered_by)
        kept = self.kept(answered_by, response_id)
        if kept is None:
            return
        self._hearer.listener(News(kept=kept))
        if signal is not None:
            self._hearer.listener(News(evidence=evidence(kept, signal, 0.0, f"{kept.request_id}:{signal}")))

    def failed(self, target: str) -> None:
        """A target gave no answer."""
        kept = self.kept(target, "")
        if kept is not None:
            name = f"{kept.request_id}:{outcomes.ERROR}:{target}"
            self._hearer.listener(News(evidence=evidence(kept, outcomes.ERROR, 0.0, name)))

    def judged(self, target: str, kind: str, score: float) -> None:
        """A validator or a judge says how good the target's answer is."""
        kept = self.kept(target, "")
        if kept is not None:
            name = f"{kept.request_id}:{kind}:{target}"
            self._hearer.listener(News(evidence=evidence(kept, kind, score, name)))

    def kept(self, target: str, response_id: str) -> Kept | None:
        """What is kept of the decision; None where nothing is learnt from it."""
        keeps = self.keeps(target)
        return None if keeps is None else keeps(response_id)

    def keeps(self, target: str) -> Callable[[str], Kept] | None:
        """The same for who may never ask for it: from the id of the response to what is kept. Holds nothing of the request."""
        weighed, job = self._weighed, self._job
        names = [choice.id for choice in self._choices]
        if weighed is None or target not in names or not self._hearer.tracked(job):
            return None
        place, caller = names.index(target), job.caller
        return partial(
            _kept,
            job.request_id,
            caller.tenant,
            caller.key_id,
            self._group,
            target,
            weighed.priors[place],
            self._decision.propensity if place == self._decision.order[0] else 1.0,
            weighed.features,
        )


def _kept(
    request_id: str,
    tenant: str,
    key_id: str,
    group: str,
    target: str,
    prior: float,
    propensity: float,
    features: Features,
    response_id: str,
) -> Kept:
    return Kept(
        request_id=request_id,
        tenant=tenant,
        group=group,
        target=target,
        prior=round(prior, 4),
        propensity=propensity,
        key=key_of(tenant, key_id),
        structure=features.structure.astype("<f2").tobytes(),
        slots=features.slots.astype("<u2").tobytes(),
        response_id=response_id[:128],
    )
