"""One decision under way: its order, its explanation, and the door for its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


@dataclass(frozen=True, slots=True)
class Weighed:
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
        sticks: str = "",
    ) -> None:
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
        if self._sticks:
            self._hearer.stays(self._sticks, answered_by)
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
        weighed, job = self._weighed, self._job
        place = next((place for place, choice in enumerate(self._choices) if choice.id == target), None)
        if weighed is None or place is None or not self._hearer.tracked(job):
            return None
        first = place == self._decision.order[0]
        return Kept(
            request_id=job.request_id,
            tenant=job.caller.tenant,
            group=self._group,
            target=target,
            prior=round(weighed.priors[place], 4),
            propensity=self._decision.propensity if first else 1.0,
            key=key_of(job.caller.tenant, job.caller.key_id),
            structure=weighed.features.structure.astype("<f2").tobytes(),
            slots=weighed.features.slots.astype("<u2").tobytes(),
            response_id=response_id[:128],
        )
