"""Learning while routing: only the outcome of the target that was asked is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning import prior as priors
from intellirouter.inference.learning.basis import Basis
from intellirouter.inference.learning.decision import ENOUGH, exploring, searching
from intellirouter.inference.learning.estimator import Estimator
from intellirouter.inference.learning.features import SLOT_BITS
from intellirouter.inference.learning.group import Group
from intellirouter.inference.learning.measure import apgr
from intellirouter.inference.learning.prior import Prior, between
from scripts.difficulty_prior import Outcomes, fit, scales

Floats = NDArray[np.float64]


ALIKE = (0.5, 0.5)
"""Ratings of two targets of which nothing is known."""
NEUTRAL = 0.7
"""What is expected of a target before any outcome where there is no prior."""
PRICES = (0.0, 0.1)
SEEDS, ORDERS = 4, 10
"""Orders of the stream that figures are the mean of; of the regret, which chance moves most."""


@dataclass
class Stream:
    """Questions with their numbers made ready. `prior` is what each target is expected to do before any outcome."""

    outcomes: Outcomes
    basis: NDArray[np.float32]
    prior: Floats

    def __len__(self) -> int:
        return len(self.basis)


def ready(outcomes: Outcomes, prior: Prior, ratings: Sequence[float]) -> Stream:
    """The stream of `outcomes` for targets of these ratings."""
    basis = prior.basis.of_many(np.array([f.structure for f in outcomes.features]))
    pairs = [prior.of(f, row) for f, row in zip(outcomes.features, basis, strict=True)]
    return Stream(outcomes, basis, np.array([[between(pair, r) for r in ratings] for pair in pairs]))


def knowing_nothing(mean: Floats, spread: Floats) -> Prior:
    """A prior that holds every question for equally hard."""
    heads = np.zeros_like(priors.shipped().heads)
    heads[:, -1] = NEUTRAL
    return Prior(Basis(mean, spread), heads, np.zeros((2, 1 << SLOT_BITS), np.float32))


Chooser = Callable[[int, Group], tuple[int, float]]
"""The target for the question at a place of the stream, and how likely it was to be chosen."""


def learn(
    stream: Stream,
    right: Floats,
    choose: Chooser,
    *,
    feedback: float = 1.0,
    flipped: float = 0.0,
    seed: int = 0,
) -> tuple[list[Estimator], list[int]]:
    """One pass: each question answered by the chosen target, whose outcome alone is seen, and sometimes wrongly."""
    chance = np.random.default_rng(seed)
    count = right.shape[1]
    learnt = opened(count)
    chosen = []
    for place in range(len(stream)):
        target, propensity = choose(place, learnt)
        chosen.append(target)
        if chance.random() >= feedback:
            continue
        score = float(right[place, target])
        if chance.random() < flipped:
            score = 1 - score
        learnt.learn(str(target), *row(stream, place, target), score=score, propensity=propensity)
    learnt.fit()
    return list(learnt.estimators.values()), chosen


def opened(count: int) -> Group:
    """A group of targets of which nothing is known, named by their places."""
    return Group({str(place): Estimator() for place in range(count)})


def row(stream: Stream, place: int, target: int) -> tuple[float, NDArray[np.float32], NDArray[np.uint16]]:
    """What is known of a question before it is answered."""
    return float(stream.prior[place, target]), stream.basis[place], stream.outcomes.features[place].slots


def expected(stream: Stream, learnt: list[Estimator]) -> Floats:
    """The expected success of each target on each question."""
    return np.array(
        [
            [one.expected(*row(stream, place, target)) for target, one in enumerate(learnt)]
            for place in range(len(stream))
        ]
    )


def evenly(count: int, seed: int) -> Chooser:
    """Each target as often as the others, whatever the question."""
    chance = np.random.default_rng(seed + 1000)
    return lambda _place, _learnt: (int(chance.integers(count)), 1 / count)


def by_expectation(stream: Stream, prices: Sequence[float], explore: float, seed: int) -> Chooser:
    """As a gateway that explores now and then: success less price; the first target until each has some outcomes.

    How sure each estimate is, it learns with the weights: every sixty outcomes.
    """
    chance = np.random.default_rng(seed + 2000)
    errors: list[float] = []

    def choose(place: int, learnt: Group) -> tuple[int, float]:
        nonlocal errors
        known = list(learnt.estimators.values())
        if place % 60 == 0:
            errors = [one.uncertainty() for one in known]
        worth = [
            one.expected(*row(stream, place, target)) - prices[target] for target, one in enumerate(known)
        ]
        best = 0 if min(one.weight for one in known) < ENOUGH else int(np.argmax(worth))
        chances = exploring(errors, worth, best, *searching(explore, changed=learnt.exploring > 0))
        target = int(chance.choice(len(known), p=chances))
        return target, chances[target]

    return choose


PARTS = ("taught", "regret", "three", "drift", "poisoned")


def report(outcomes: Outcomes, folds: NDArray[np.int64], parts: Sequence[str] = PARTS) -> None:
    """Print what one pass over a stream teaches, held against questions that were not in it."""
    known = knowing_nothing(*scales(outcomes.part(folds != 0)))
    everything = ready(outcomes, known, ALIKE)
    if "taught" in parts:
        _taught(outcomes, folds)
    if "regret" in parts:
        _regret(everything, informed(outcomes, folds))
    if "three" in parts:
        _three(outcomes, known)
    if "drift" in parts:
        _drift(everything)
    if "poisoned" in parts:
        held = np.flatnonzero(folds == 0)
        rest = np.flatnonzero(folds != 0)
        _poisoned(part_of(everything, rest), part_of(everything, held))


def _taught(outcomes: Outcomes, folds: NDArray[np.int64]) -> None:
    sets = sorted(set(outcomes.sets.tolist()))
    print(f"\n{'online, one pass, no prior':<44}" + "".join(f"{one + ' APGR':>14}" for one in sets))
    for name, feedback, flipped in (
        ("feedback on every answer", 1.0, 0.0),
        ("feedback on a tenth", 0.1, 0.0),
        ("every answer, a fifth of it flipped", 1.0, 0.2),
    ):
        cells = _after(outcomes, folds, feedback, flipped)
        print(f"{name:<44}" + "".join(f"{cells[one]:>14.3f}" for one in sets))


def _after(outcomes: Outcomes, folds: NDArray[np.int64], feedback: float, flipped: float) -> dict[str, float]:
    """APGR by set, the mean over three folds held out and the order of the stream."""
    found: dict[str, list[float]] = {}
    for fold in range(3):
        held = folds == fold
        known = knowing_nothing(*scales(outcomes.part(~held)))
        order = np.random.default_rng(fold).permutation(np.flatnonzero(~held))
        part = outcomes.part(~held)
        part = Outcomes(
            [outcomes.features[i] for i in order], outcomes.right[order], outcomes.sets[order], part.source
        )
        train, test = ready(part, known, ALIKE), ready(outcomes.part(held), known, ALIKE)
        learnt, _ = learn(train, part.right, evenly(2, fold), feedback=feedback, flipped=flipped, seed=fold)
        for one, value in by_set(test, learnt).items():
            found.setdefault(one, []).append(value)
    return {one: float(np.mean(values)) for one, values in found.items()}


def by_set(test: Stream, learnt: list[Estimator]) -> dict[str, float]:
    """APGR of the last target's expected lead over the first, by set."""
    scores = expected(test, learnt)
    gain, sets, right = scores[:, -1] - scores[:, 0], test.outcomes.sets, test.outcomes.right
    return {
        str(one): apgr(gain[sets == one], right[sets == one, 0], right[sets == one, 1])
        for one in np.unique(sets)
    }


def informed(outcomes: Outcomes, folds: NDArray[np.int64]) -> Floats:
    """The success expected of each target by who saw every outcome of both, on questions of other folds."""
    found = np.zeros_like(outcomes.right)
    for fold in np.unique(folds):
        held = folds == fold
        rest, part = outcomes.part(~held), outcomes.part(held)
        found[held] = ready(part, priors.read(fit(rest, *scales(rest))), (0.0, 1.0)).prior
    return found


def _regret(stream: Stream, known: Floats) -> None:
    """What was lost against decisions by who saw the outcomes of both targets, as the stream goes on."""
    prices = np.array(PRICES)
    best = np.argmax(known - prices, 1)
    worth = stream.outcomes.right - prices
    lost = worth[np.arange(len(worth)), best][:, np.newaxis] - worth  # of each target, on each question
    rows = []
    for seed in range(ORDERS):
        order = np.random.default_rng(100 + seed).permutation(len(stream))
        part = part_of(stream, order)
        _, chosen = learn(part, part.outcomes.right, by_expectation(part, PRICES, 0.05, seed), seed=seed)
        ours = lost[order][np.arange(len(order)), chosen]
        rows.append([part.mean() for n in (5, 2) for part in np.array_split(ours, n)])
    mean, error = np.mean(rows, 0), np.std(rows, 0, ddof=1) / ORDERS**0.5
    cells = [f"{m:.4f} ± {e:.4f}" for m, e in zip(mean, error, strict=True)]
    print(
        "\nregret per request against who saw every outcome of both and was asked of others' questions (at most 5 % explored;"
        f"\nthe strong target costs .10 of an answer); {ORDERS} orders, ± standard error"
    )
    print("  by fifths of the stream  " + "  ".join(cells[:5]))
    print("  by halves                " + "  ".join(cells[5:]))
    print(f"  always the first {lost[:, 0].mean():.4f}   always the strong {lost[:, 1].mean():.4f}")


def part_of(stream: Stream, places: NDArray[np.int64]) -> Stream:
    """The stream of these places, in this order."""
    o = stream.outcomes
    inner = Outcomes([o.features[i] for i in places], o.right[places], o.sets[places], o.source)
    return Stream(inner, stream.basis[places], stream.prior[places])


def _third(outcomes: Outcomes) -> Floats:
    """A third target between the two: right where both are, and by chance where they differ or fail."""
    chance = np.random.default_rng(7)
    weak, strong = outcomes.right.T
    share = np.where(weak == strong, np.where(weak == 1, 0.95, 0.1), 0.6)
    return np.asarray((chance.random(len(weak)) < share).astype(float))


def _three(outcomes: Outcomes, known: Prior) -> None:
    """Three targets, decided while learning: beside the operator's order, and beside each alone."""
    right = np.c_[outcomes.right[:, 0], _third(outcomes), outcomes.right[:, 1]]
    prices, explore = np.array([0.0, 0.05, 0.1]), 0.05
    whole = ready(outcomes, known, (0.5,) * 3)
    print(
        f"\nthree targets at .00, .05 and .10: worth while learning, {explore:.0%} explored; {SEEDS} orders"
    )
    for start, name in enumerate(("the cheap one first", "the middle first", "the dear one first")):
        turned = [(start + place) % 3 for place in range(3)]
        rows = []
        for seed in range(SEEDS):
            order = np.random.default_rng(200 + seed).permutation(len(whole))
            stream, outcome = part_of(whole, order), right[order][:, turned]
            choose = by_expectation(stream, prices[turned].tolist(), explore, seed)
            _, chosen = learn(stream, outcome, choose, seed=seed)
            worth = outcome - prices[turned]
            got = worth[np.arange(len(worth)), chosen]
            rows.append([worth[:, 0].mean(), got.mean(), got[len(got) // 2 :].mean()])
        first, all_, later = np.mean(rows, 0)
        print(f"  {name:<20} operator's order {first:.3f}   decided {all_:.3f}   second half {later:.3f}")


def _drift(whole: Stream) -> None:
    """The targets swap their skills; how many outcomes later are decisions as good as before?"""
    rows = []
    for seed in range(ORDERS):
        order = np.random.default_rng(100 + seed).permutation(len(whole))
        stream = part_of(whole, order[: min(len(order), 4_000)])
        right = stream.outcomes.right.copy()
        half = len(right) // 2
        right[half:] = right[half:, ::-1]
        _, chosen = learn(stream, right, by_expectation(stream, (0.0, 0.0), 0.05, seed), seed=seed)
        hit = np.array(chosen) == np.array([1] * half + [0] * (len(right) - half))
        rows.append(
            [part.mean() for part in (hit[half - 500 : half], *np.array_split(hit[half:][:1000], 10))]
        )
    before, *windows = np.mean(rows, 0)
    print(
        f"\nafter the targets swap their skill: share of requests at the better one (before: {before:.2f}); {ORDERS} orders"
    )
    size = len(hit[half:][:1000]) // 10
    print("  outcomes " + "".join(f"{n * size:>6}" for n in range(1, 11)))
    print("           " + "".join(f"{share:>6.2f}" for share in windows))


def _poisoned(train: Stream, test: Stream) -> None:
    """Twenty keys give honest feedback; then one sends ten thousand that are all wrong."""
    order = np.random.default_rng(11).permutation(len(train))
    stream = part_of(train, order)
    honest = poison(stream, 0)
    poisoned = poison(stream, 10_000)
    print("\none key of 21 sends 10,000 wrong feedbacks: APGR before → after")
    before, after = by_set(test, honest), by_set(test, poisoned)
    print("  " + "   ".join(f"{one} {before[one]:.3f} → {after[one]:.3f}" for one in before))


def poison(stream: Stream, wrong: int, keys: int = 20) -> list[Estimator]:
    """What is learnt from honest keys, and `wrong` outcomes of one that lies, from the middle of the stream on."""
    chance, lying = (
        np.random.default_rng(13),
        np.random.default_rng(17),
    )  # so that the honest ones say the same
    learnt = opened(2)
    half = len(stream) // 2
    lies = np.zeros(len(stream), int)
    lies[half:] = -(-wrong // (len(stream) - half))
    left = wrong
    for place in range(len(stream)):
        for lie in range(1 + min(left, int(lies[place]))):
            at = place if lie == 0 else int(lying.integers(len(stream)))
            target = int((lying if lie else chance).integers(2))
            score = float(stream.outcomes.right[at, target])
            left -= bool(lie)
            learnt.learn(
                str(target),
                *row(stream, at, target),
                score=1 - score if lie else score,
                key=f"key {at % keys}" if lie == 0 else "liar",
                propensity=0.5,
            )
    learnt.fit()
    return list(learnt.estimators.values())
