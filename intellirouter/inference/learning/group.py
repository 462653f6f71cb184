"""What is learnt of one group: the statistics of each target, and how much each key may move them."""

from __future__ import annotations

from dataclasses import dataclass, field

from intellirouter.inference.learning.estimator import Estimator
from intellirouter.inference.learning.features import Floats, Slots
from intellirouter.inference.learning.influence import Influence
from intellirouter.inference.learning.progress import Progress

EXPLORING_AFTER_CHANGE = 100
"""Outcomes for which more requests explore, once a target has changed: of fewer, chance alone may tell who is the better one now."""
_DOUBTED = 12.0
"""Weight that says how good the other targets are on the whole when one has changed: what changed one may have changed all."""
MAX_IMPORTANCE = 5.0


@dataclass
class Group:
    """Everything that must be kept to go on learning. Grows with the number of targets, never with that of outcomes."""

    estimators: dict[str, Estimator] = field(default_factory=dict)
    influence: Influence = field(default_factory=Influence)
    progress: dict[str, Progress] = field(default_factory=dict)
    exploring: int = 0

    def learn(
        self,
        target: str,
        prior: float,
        basis: Floats,
        slots: Slots,
        *,
        score: float,
        weight: float = 1.0,
        key: str = "",
        propensity: float = 1.0,
    ) -> None:
        """Take one outcome in. `propensity`: how likely this target was to be asked when it was.

        A target that is rarely asked is asked about what it is good at; the outcomes of the rare others count for more,
        up to five times (inverse propensity weighting, truncated).
        """
        estimator = self.estimators.get(target)
        if estimator is None:
            estimator = self.estimators[target] = Estimator()
        usual = 1 / max(2, len(self.estimators))
        importance = min(MAX_IMPORTANCE, max(1.0, usual / max(propensity, 1e-3)))
        share = self.influence.share(key)
        before = estimator.changes
        if share:
            heard = not self.influence.contrary(key)
            expected = estimator.learn(prior, basis, slots, score, weight * importance * share, watched=heard)
        else:
            expected = estimator.expected(prior, basis, slots)  # it may earn its say back
        self.influence.note(key, weight * share, expected, score)
        self.exploring = max(0, self.exploring - 1)
        if estimator.changes > before:
            self.exploring = EXPLORING_AFTER_CHANGE
            for name, other in self.estimators.items():
                if name != target:
                    other.doubt(_DOUBTED)

    def note(self, target: str, kind: str, score: float, at: float, cost: float | None = None) -> None:
        """Count an outcome of a kind of question (`prior.KINDS`) for people; `at` as Unix time, `cost` in US dollars."""
        progress = self.progress.setdefault(target, Progress())
        progress.take(kind, score, at)
        if cost is not None:
            progress.paid(cost)

    def fit(self) -> None:
        """Bring the weights up to date."""
        for estimator in self.estimators.values():
            estimator.fit()
