"""What every node decides by: the learnt weights of one group, small enough to be sent around whenever they change."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from intellirouter.inference.learning.estimator import DIMENSION, Estimator
from intellirouter.inference.learning.features import SLOT_BITS, VERSION, Features, Floats
from intellirouter.inference.learning.grams import BySlot
from intellirouter.inference.learning.group import Group
from intellirouter.inference.learning.packed import fits, unpacked
from intellirouter.inference.learning.prior import KINDS, Prior, between
from intellirouter.inference.learning.progress import Kind, Point, Progress

FORMAT = 1
MAX_TARGETS = 64


UNKNOWN = 0.3
"""The standard error of what is expected of a target of which nothing is known."""


class Facts(msgspec.Struct, frozen=True):
    """What is said of a target's learning. `weight` of its outcomes, faded; `seen` all ever; `error` squared, per outcome; `cost` of an answer in US dollars, where it was told."""

    weight: float = 0.0
    seen: int = 0
    good: float = 0.0
    uncertainty: float = UNKNOWN
    error: float = 0.25
    basis: float = 0.0
    grams: float = 0.0
    changes: int = 0
    kinds: tuple[Kind, ...] = ()
    trend: tuple[Point, ...] = ()
    cost: float | None = None

    @property
    def confidence(self) -> float:
        """How much is known, 0 to 1: what is left of the uncertainty that a target begins with."""
        return min(1.0, max(0.0, 1 - self.uncertainty / UNKNOWN))


@dataclass(frozen=True, slots=True)
class Weights:
    """`rows` (targets, 2 + WIDTH), `slots` (targets, 2^15), one line per name in `targets`. `version` grows with time."""

    targets: tuple[str, ...] = ()
    rows: Floats = field(default_factory=lambda: np.zeros((0, DIMENSION), np.float32))
    slots: Floats = field(default_factory=lambda: np.zeros((0, 1 << SLOT_BITS), np.float32))
    facts: tuple[Facts, ...] = ()
    version: int = 0
    trained: float = 0.0
    exploring: bool = False
    places: dict[str, int] = field(default_factory=dict)
    heads: tuple[tuple[float, float], ...] = field(init=False, repr=False, compare=False)
    """Of each target the constant and the weight of the prior's opinion, as a decision takes them."""
    bends: Floats = field(init=False, repr=False, compare=False)
    """Of each target the weights of the basis."""
    grams: BySlot = field(init=False, repr=False, compare=False)
    """`slots` as a decision reads them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", tuple(map(tuple, self.rows[:, :2].tolist())))
        object.__setattr__(self, "bends", np.ascontiguousarray(self.rows[:, 2:]))
        object.__setattr__(self, "grams", BySlot(self.slots))
        object.__setattr__(self, "slots", self.grams.rows)

    @property
    def outcomes(self) -> float:
        """The weight of all outcomes learnt from."""
        return sum(fact.weight for fact in self.facts)


NOTHING = Weights()


class Estimate(msgspec.Struct, frozen=True):
    """`success` expected, 0 to 1, and what the prior alone expects; `error` the standard error of `success`; `outcomes` the weight of what it rests on; `cost` as told."""

    success: float
    prior: float
    error: float
    outcomes: float
    cost: float | None = None


def estimate(
    weights: Weights, prior: Prior, features: Features, ratings: Mapping[str, float]
) -> dict[str, Estimate]:
    """For each target of `ratings` (0 to 1, by name) how likely it is to answer the question well."""
    basis = prior.basis.of(features)
    return estimated(weights, prior.of(features, basis), features, basis, ratings)


def estimated(
    weights: Weights,
    pair: tuple[float, float],
    features: Features,
    basis: Floats,
    ratings: Mapping[str, float],
) -> dict[str, Estimate]:
    """The same, for who has computed the prior's opinion and the basis."""
    found = {}
    many = len(weights.targets) > 0
    bent = weights.bends.dot(basis).tolist() if many else []
    grams = weights.grams.of(features.slots) if many else []
    for name, rating in ratings.items():
        expected = between(pair, rating)
        place = weights.places.get(name)
        if place is None:
            found[name] = Estimate(expected, expected, UNKNOWN, 0.0)
            continue
        (constant, slope), fact = weights.heads[place], weights.facts[place]
        value = constant + slope * expected + bent[place] + grams[place]
        found[name] = Estimate(
            min(0.99, max(0.01, value)), expected, fact.uncertainty, fact.weight, fact.cost
        )
    return found


def fitted(group: Group, version: int, trained: float) -> Weights:
    """The weights that a group's statistics stand for now."""
    rows, slots, facts = [], [], []
    for name, estimator in group.estimators.items():
        estimator.fit()
        row, grams = estimator.weights()
        rows.append(row)
        slots.append(grams)
        facts.append(_facts(estimator, group.progress.get(name, Progress())))
    names, exploring = tuple(group.estimators), group.exploring > 0
    return made(names, np.array(rows), np.array(slots), tuple(facts), version, trained, exploring=exploring)


def _facts(estimator: Estimator, progress: Progress) -> Facts:
    first, second = estimator.heeded()
    weight = estimator.weight
    return Facts(
        weight=round(weight, 3),
        seen=estimator.seen,
        good=round(estimator.good / weight, 4) if weight else 0.0,
        uncertainty=round(estimator.uncertainty(), 4),
        error=round(estimator.error / weight, 4) if weight else 0.25,
        basis=round(first, 3),
        grams=round(second, 3),
        changes=estimator.changes,
        kinds=progress.by_kind(KINDS),
        trend=progress.trend(),
        cost=progress.cost(),
    )


def made(
    targets: tuple[str, ...],
    rows: object,
    slots: object,
    facts: tuple[Facts, ...],
    version: int,
    trained: float,
    *,
    exploring: bool = False,
) -> Weights:
    """Weights from their pieces."""
    count = len(targets)
    return Weights(
        targets,
        np.asarray(rows, np.float32).reshape(count, DIMENSION),
        np.asarray(slots, np.float32).reshape(count, 1 << SLOT_BITS),
        facts,
        version,
        trained,
        exploring,
        {name: place for place, name in enumerate(targets)},
    )


def encode(weights: Weights) -> bytes:
    """As bytes: an npz file, the slots in half precision."""
    out = io.BytesIO()
    head = {
        "format": FORMAT,
        "features": VERSION,
        "targets": weights.targets,
        "facts": weights.facts,
        "version": weights.version,
        "trained": weights.trained,
        "exploring": weights.exploring,
    }
    np.savez_compressed(
        out,
        head=np.frombuffer(msgspec.json.encode(head), np.uint8),
        rows=weights.rows,
        slots=weights.slots.astype(np.float16),
    )
    return out.getvalue()


class _Head(msgspec.Struct):
    format: int
    features: int
    targets: tuple[str, ...]
    facts: tuple[Facts, ...]
    version: int
    trained: float
    exploring: bool = False


def decode(data: bytes) -> Weights:
    """Weights from bytes. Raises `ValueError` for anything else, also of another version of the features."""
    try:
        told, rows, slots = unpacked(data, ("head", "rows", "slots"))
        head = msgspec.json.decode(told.tobytes(), type=_Head)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"these are no weights: {error}") from error
    if (head.format, head.features) != (FORMAT, VERSION) or len(head.targets) > MAX_TARGETS:
        raise ValueError("the weights are of another version")
    count = len(head.targets)
    if len(head.facts) != count or not (fits(rows, count, DIMENSION) and fits(slots, count, 1 << SLOT_BITS)):
        raise ValueError("the weights are damaged")
    return made(head.targets, rows, slots, head.facts, head.version, head.trained, exploring=head.exploring)
