"""What is learnt of one target: sufficient statistics, from which its weights are fitted.

Success is a sum of three parts, each fitted to what those before it leave: a constant and the prior's opinion; a ridge
regression over the basis of the structure; the n-grams, one step of a diagonal Newton method at a time. How far the second
and third are heeded is their progressive worth: each outcome is predicted before it is learnt from (Dawid, 1984), and the
share that would have been best so far is used. A part that does not help thus has no say, however the outcomes are.

Old outcomes fade over `HORIZON`; where the recent ones say that the target has changed, what it was worth on the whole is learnt anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning.basis import WIDTH
from intellirouter.inference.learning.features import SLOT_BITS, Floats, Slots

Doubles = NDArray[np.float64]

DIMENSION = 2 + WIDTH
"""A constant, the prior's opinion, the basis."""
HORIZON = 8_000.0
"""Weight of outcomes after which the oldest count for a third."""
PENALTIES = np.concatenate(([4.0, 12.0], np.full(WIDTH, 60.0)))
"""Pseudo-outcomes that hold each weight at its start: 0, 1 for the prior's opinion, 0."""
SLOT_PENALTY = 20.0
_WORTH_PENALTY = 0.5
"""Pseudo-evidence that a part is worth nothing."""
_SHIFT, _ALARM = 0.15, 24.0
"""Cumulative sums (Page, 1954) of surprises in standard deviations: what of each is tolerated, and the sum that is an alarm.

A target whose success moves by three tenths of a deviation is found after some 160 outcomes, and one that stays as it is gives an alarm in tens of thousands. What is tolerated is more than
surprises are off on the whole: of the target that is asked a little too much is expected, for that is why it is asked."""
_WATCHED_FROM = 300.0
"""Weight of outcomes before a target is watched."""
_SETTLED = 40.0
"""Weight of outcomes that say how good a target is on the whole, once it has changed: those since, about."""
_TOLD_AGAIN = 100.0
"""Weight of outcomes that must tell how good a target is before it is watched again: of fewer, chance alone looks like a change."""
_REMEMBERED, _HEEDED_ANEW, _QUICKER = 300.0, 20.0, 0.2
"""Once a target may have changed: what all older outcomes weigh together; what the evidence weighs that the basis and the
n-grams help, so that some dozens of outcomes say whether they still do; and what is left of the inertia of the n-grams."""


@dataclass
class Drift:
    """One cumulative sum: `sum` itself, and since it last was nothing the weight of outcomes and their surprises."""

    sum: float = 0.0
    weight: float = 0.0
    surprise: float = 0.0

    def take(self, step: float, surprise: float, weight: float) -> None:
        """Add one outcome, `step` standard deviations beyond what is tolerated."""
        self.sum += weight * step
        if self.sum <= 0:
            self.sum = self.weight = self.surprise = 0.0
        else:
            self.weight += weight
            self.surprise += weight * surprise


@dataclass
class Estimator:
    """The statistics of one target. Everything adds up; nothing depends on when it was written."""

    gram: Doubles = field(default_factory=lambda: np.zeros((DIMENSION, DIMENSION)))
    moment: Doubles = field(default_factory=lambda: np.zeros(DIMENSION))
    weight: float = 0.0
    seen: int = 0
    good: float = 0.0
    error: float = 0.0
    """Weighted sum of squared errors of prediction before learning."""
    worth: Doubles = field(default_factory=lambda: np.zeros((2, 2)))
    """Of the basis and of the n-grams: [Σ part², Σ part · what is left]."""
    slots: Floats = field(default_factory=lambda: np.zeros(1 << SLOT_BITS, np.float32))
    steps: Floats = field(default_factory=lambda: np.zeros(1 << SLOT_BITS, np.float32))
    above: Drift = field(default_factory=lambda: Drift())
    below: Drift = field(default_factory=lambda: Drift())
    changes: int = 0
    _fitted: Doubles = field(default_factory=lambda: start(), compare=False)
    _base: Doubles = field(default_factory=lambda: start()[:2], compare=False)
    _stale: float = field(default=0.0, compare=False)

    def parts(self, prior: float, basis: Floats, slots: Slots) -> tuple[float, float, float]:
        """The three parts of the prediction, the second and third unweighted."""
        base = float(self._base[0] + self._base[1] * prior)
        full = float(self._fitted[0] + self._fitted[1] * prior + self._fitted[2:] @ basis)
        grams = float(self.slots[slots].sum()) / max(1, len(slots)) ** 0.5
        return base, full - base, grams

    def heeded(self) -> tuple[float, float]:
        """How far the basis and the n-grams are heeded, 0 to 1."""
        shares = self.worth[:, 1] / (self.worth[:, 0] + _WORTH_PENALTY)
        return float(np.clip(shares[0], 0, 1)), float(np.clip(shares[1], 0, 1))

    def expected(self, prior: float, basis: Floats, slots: Slots) -> float:
        """The expected success."""
        base, bent, grams = self.parts(prior, basis, slots)
        first, second = self.heeded()
        return base + first * bent + second * grams

    def learn(
        self, prior: float, basis: Floats, slots: Slots, score: float, weight: float, *, watched: bool = True
    ) -> float:
        """Take one outcome in: `score` 0 to 1, `weight` above 0. Returns what was expected before it.

        What is not `watched` says nothing of whether the target has changed.
        """
        if self._stale >= max(20.0, self.weight / 20):
            self.fit()
        base, bent, grams = self.parts(prior, basis, slots)
        first, second = self.heeded()
        left = score - base
        rest = left - first * bent
        surprise = rest - second * grams
        fade = 1 - min(weight, 1.0) / HORIZON
        self.worth *= fade
        self.worth += weight * np.array([[bent * bent, bent * left], [grams * grams, grams * rest]])
        row = np.concatenate(([1.0, prior], basis))
        self.gram *= fade
        self.gram += weight * np.outer(row, row)
        self.moment *= fade
        self.moment += weight * score * row
        self.weight = self.weight * fade + weight
        self.good = self.good * fade + weight * score
        self.error = self.error * fade + weight * surprise * surprise
        self.seen += 1
        if len(slots):
            size = 1 / len(slots) ** 0.5
            self.steps[slots] += weight * size * size
            self.slots[slots] += weight * size * (rest - grams) / (SLOT_PENALTY + self.steps[slots])
        self._stale += weight
        if watched:
            self._watch(surprise, weight)
        return score - surprise

    def _watch(self, surprise: float, weight: float) -> None:
        """Where outcomes have not been what was expected for a while: what is old is moved to where the new ones are, and fades."""
        if self.weight < _WATCHED_FROM or self.gram[0, 0] < _TOLD_AGAIN:
            return
        step, count = surprise / ((self.error / self.weight) ** 0.5 + 0.02), min(1.0, weight)
        self.above.take(step - _SHIFT, surprise, count)
        self.below.take(-step - _SHIFT, surprise, count)
        found = max(self.above, self.below, key=lambda one: one.sum)
        if found.sum > _ALARM:
            self.changes += 1
            self._move(found.surprise / found.weight)
            self.doubt(min(found.weight, _SETTLED))

    def _move(self, shift: float) -> None:
        """As if every outcome so far had been better by `shift`."""
        self.moment += shift * self.gram[:, 0]
        self.good += shift * self.weight

    def doubt(self, kept: float) -> None:
        """Let no more than `kept` weight of outcomes say how good the target is on the whole, and older ones weigh little.

        What it was better at than at other things stays as it was learnt, but is heeded only as far as new outcomes bear it
        out, and gives way to them sooner. The statistics are about their mean, with as much of the mean as is kept: what a
        normal prior of the level with that precision would leave of them. A false alarm then costs the outcomes that tell a
        level, and not those that tell subjects apart.
        """
        self.worth *= min(1.0, _HEEDED_ANEW / max(self.weight, 1.0))
        self.steps *= _QUICKER
        self._fade(min(1.0, _REMEMBERED / max(self.weight, 1.0)))
        level, moment = self.gram[0, 0], self.moment[0]
        if level > kept:
            gone, column = (1 - kept / level) / level, self.gram[:, 0].copy()
            self.gram -= gone * np.outer(column, column)
            self.moment -= gone * moment * column
        self.above, self.below = Drift(), Drift()
        self.fit()

    def _fade(self, share: float) -> None:
        """Let all outcomes so far weigh `share` of what they did."""
        self.gram *= share
        self.moment *= share
        self.weight *= share
        self.good *= share
        self.error *= share

    def fit(self) -> None:
        """The weights that the statistics stand for."""
        begin = start()
        self._fitted = np.linalg.solve(self.gram + np.diag(PENALTIES), self.moment + PENALTIES * begin)
        small = self.gram[:2, :2] + np.diag(PENALTIES[:2])
        self._base = np.linalg.solve(small, self.moment[:2] + PENALTIES[:2] * begin[:2])
        self._stale = 0.0

    def weights(self) -> tuple[Doubles, Floats]:
        """One vector over constant, prior and basis, and one over the slots, with what each part is worth in them."""
        first, second = self.heeded()
        fitted = self._fitted * first
        fitted[:2] += self._base * (1 - first)
        return fitted, self.slots * second

    def uncertainty(self) -> float:
        """The standard error of an expected success: noise times the square root of parameters per outcome, of the level per outcome that tells it."""
        noise = (self.error / self.weight) if self.weight >= 1 else 0.2
        first, _ = self.heeded()
        if self.weight < 1:
            return 0.3
        inner = np.linalg.solve(self.gram + np.diag(PENALTIES), self.gram)
        free = 2 + first * (float(np.trace(inner)) - 2)
        shape, level = (max(free, 1.0) - 1) / (self.weight + 1), 1 / (float(self.gram[0, 0]) + 1)
        return float(min(0.3, (noise * (shape + level)) ** 0.5))


def start() -> Doubles:
    """The weights before any outcome: what the prior says."""
    begin = np.zeros(DIMENSION)
    begin[1] = 1.0
    return begin
