"""A group's learning as bytes, with how far its log was read: written in one piece, so that nothing is learnt twice."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import msgspec
import numpy as np

from intellirouter.inference.learning.estimator import DIMENSION, Drift, Estimator
from intellirouter.inference.learning.features import SLOT_BITS, VERSION
from intellirouter.inference.learning.group import Group
from intellirouter.inference.learning.influence import Account, Influence
from intellirouter.inference.learning.packed import fits, unpacked
from intellirouter.inference.learning.progress import Point, Progress

FORMAT = 1
MAX_TARGETS = 64
RECENT = 4_096
"""Names of outcomes that are remembered: one that was written twice is learnt from once."""
_UPPER = np.triu_indices(DIMENSION)
_ARRAYS = ("head", "grams", "moments", "worths", "slots", "steps")


@dataclass
class Learning:
    """A group, and `cursors`: how many entries of each piece of the log are in it."""

    group: Group = field(default_factory=Group)
    cursors: dict[str, int] = field(default_factory=dict)
    recent: dict[str, None] = field(default_factory=dict)
    outcomes: int = 0
    trained: float = 0.0

    def fresh(self, name: str) -> bool:
        """Whether an outcome of this name has not been taken in lately; from now on it has."""
        if name in self.recent:
            return False
        self.recent[name] = None
        while len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]
        return True


class _Target(msgspec.Struct):
    name: str
    weight: float
    seen: int
    good: float
    error: float
    above: float
    below: float
    changes: int
    drifts: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    kinds: dict[str, tuple[float, float]] = {}
    points: list[Point] = []
    run: tuple[float, int, float] = (0.0, 0, 0.0)
    spent: tuple[float, float] = (0.0, 0.0)


class _Head(msgspec.Struct):
    format: int
    features: int
    targets: list[_Target]
    accounts: dict[str, Account]
    exploring: int
    cursors: dict[str, int]
    recent: list[str]
    outcomes: int
    trained: float


def _target(name: str, e: Estimator, progress: Progress) -> _Target:
    above, below = e.above, e.below
    drifts = (above.weight, above.surprise, below.weight, below.surprise)
    numbers = (e.weight, e.seen, e.good, e.error, above.sum, below.sum, e.changes)
    return _Target(name, *numbers, drifts, progress.kinds, progress.points, progress.run, progress.spent)


def encode(learning: Learning) -> bytes:
    """As bytes: an npz file in single precision."""
    group = learning.group
    estimators = list(group.estimators.values())
    head = _Head(
        FORMAT,
        VERSION,
        [_target(name, e, group.progress.get(name, Progress())) for name, e in group.estimators.items()],
        group.influence.accounts,
        group.exploring,
        learning.cursors,
        list(learning.recent),
        learning.outcomes,
        learning.trained,
    )
    out = io.BytesIO()
    count = len(estimators)
    np.savez_compressed(
        out,
        head=np.frombuffer(msgspec.json.encode(head), np.uint8),
        grams=np.array([e.gram[_UPPER] for e in estimators], np.float32).reshape(count, len(_UPPER[0])),
        moments=np.array([e.moment for e in estimators], np.float64).reshape(count, DIMENSION),
        worths=np.array([e.worth for e in estimators], np.float64).reshape(count, 2, 2),
        slots=np.array([e.slots for e in estimators], np.float32).reshape(count, 1 << SLOT_BITS),
        steps=np.array([e.steps for e in estimators], np.float32).reshape(count, 1 << SLOT_BITS),
    )
    return out.getvalue()


def decode(data: bytes) -> Learning:
    """From bytes. Raises `ValueError` for what is not of this version, or damaged."""
    try:
        told, grams, moments, worths, slots, steps = unpacked(data, _ARRAYS)
        head = msgspec.json.decode(told.tobytes(), type=_Head)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"this is nothing learnt: {error}") from error
    if (head.format, head.features) != (FORMAT, VERSION) or len(head.targets) > MAX_TARGETS:
        raise ValueError("what was learnt is of another version")
    count = len(head.targets)
    whole = (
        (grams, (count, len(_UPPER[0]))),
        (moments, (count, DIMENSION)),
        (worths, (count, 2, 2)),
        (slots, (count, 1 << SLOT_BITS)),
        (steps, (count, 1 << SLOT_BITS)),
    )
    if not all(fits(array, *shape) for array, shape in whole):
        raise ValueError("what was learnt is damaged")
    group = Group(influence=Influence(head.accounts), exploring=head.exploring)
    for place, target in enumerate(head.targets):
        gram = np.zeros((DIMENSION, DIMENSION))
        gram[_UPPER] = grams[place]
        gram = gram + gram.T - np.diag(np.diag(gram))
        estimator = Estimator(
            gram=gram,
            moment=moments[place].copy(),
            weight=target.weight,
            seen=target.seen,
            good=target.good,
            error=target.error,
            worth=worths[place].copy(),
            slots=slots[place].copy(),
            steps=steps[place].copy(),
            above=Drift(target.above, *target.drifts[:2]),
            below=Drift(target.below, *target.drifts[2:]),
            changes=target.changes,
        )
        estimator.fit()  # raises ValueError where nothing can be fitted
        if not all(np.isfinite(part).all() for part in estimator.weights()):
            raise ValueError("what was learnt is damaged")
        group.estimators[target.name] = estimator
        group.progress[target.name] = Progress(target.kinds, target.points, target.run, target.spent)
    return Learning(group, head.cursors, dict.fromkeys(head.recent), head.outcomes, head.trained)
