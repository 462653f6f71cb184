"""`scripts/bench routing [FILE]`: how well requests are routed, offline and while learning.

FILE holds the published outcomes of a weak and a strong model. APGR is the area under "share of the strong model's lead
recovered" over "share of requests sent to it": random is .50, and every figure is of questions that were not learnt from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning import prior as priors
from intellirouter.inference.learning.measure import apgr, savings
from intellirouter.inference.learning.prior import Prior
from scripts.benchmarks import routing_nodes, routing_time
from scripts.benchmarks import routing_online as online
from scripts.difficulty_prior import Outcomes, fit, read, scales

FOLDS = 5
DEFAULT = Path(__file__).parents[2].parent / "shared/data/routing_dev.jsonl.gz"
Scores = NDArray[np.float64]


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, 2 where there is no file to read."""
    parser = argparse.ArgumentParser(prog="scripts/bench routing", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=DEFAULT)
    parser.add_argument("--time", action="store_true", help="only what a decision costs")
    parser.add_argument(
        "--nodes",
        action="store_true",
        help="only how soon all nodes decide by the same weights (needs Redis)",
    )
    parser.add_argument("--offline", action="store_true", help="only what is learnt from a file")
    parser.add_argument(
        "--online", nargs="+", choices=online.PARTS, help="only these parts of learning while routing"
    )
    given = parser.parse_args(arguments)
    if given.time:
        routing_time.report()
        return 0
    if given.nodes:
        routing_nodes.report()
        return 0
    if not given.file.exists():
        print(f"{given.file} is not there; name a file of outcomes", file=sys.stderr)
        return 2
    outcomes = read(given.file)
    folds = np.random.default_rng(0).integers(0, FOLDS, len(outcomes.features))
    if given.online:
        online.report(outcomes, folds, given.online)
        return 0
    offline(outcomes, folds)
    if not given.offline:
        online.report(outcomes, folds)
        routing_time.report()
    return 0


def offline(outcomes: Outcomes, folds: NDArray[np.int64]) -> None:
    """Print the table of what is learnt from all outcomes at once."""
    sets = sorted(set(outcomes.sets.tolist()))
    print(f"{len(outcomes.features):,} questions; {FOLDS} folds, each predicted by the others\n")
    print(f"{'offline':<34}" + "".join(f"{name + ' APGR':>14}{'saved at 95 %':>15}" for name in sets))
    structures = np.array([f.structure for f in outcomes.features], float)
    rows: list[tuple[str, Scores]] = [
        ("random", np.random.default_rng(1).random(len(structures))),
        ("length", structures[:, 19]),
        ("structure, linear", across(folds, outcomes, _linear(structures))),
        ("learnt", across(folds, outcomes, _learnt)),
    ]
    shipped = priors.shipped()
    if shipped.source != outcomes.source:
        rows.append(("the prior in the wheel, as it is", gains(shipped, outcomes)))
    for name, scores in rows:
        print(f"{name:<34}" + "".join(_cells(outcomes, scores, outcomes.sets == one) for one in sets))
    print(
        f"{'oracle':<34}" + "".join(_cells(outcomes, _oracle(outcomes), outcomes.sets == one) for one in sets)
    )
    for name, column in (("always weak", 0), ("always strong", 1)):
        cells = (
            f"{outcomes.right[outcomes.sets == one, column].mean():>13.1%} right" + " " * 10 for one in sets
        )
        print(f"{name:<34}" + "".join(cells))
    if shipped.source == outcomes.source:
        print("the prior in the wheel was made from this file: judged by it, it would flatter itself")
    if len(sets) > 1:
        print("\nlearnt from one set, tried on another")
        for one in sets:
            rest = outcomes.part(outcomes.sets != one)
            known = priors.read(fit(rest, *scales(rest)))
            part = outcomes.part(outcomes.sets == one)
            print(f"  on {one:<29}{apgr(gains(known, part), part.right[:, 0], part.right[:, 1]):>14.3f}")


def across(
    folds: NDArray[np.int64],
    outcomes: Outcomes,
    learn: Callable[[Outcomes, NDArray[np.bool_], Outcomes], Scores],
) -> Scores:
    """Scores of every question by what was learnt from the other folds."""
    scores = np.zeros(len(folds))
    for fold in range(FOLDS):
        held = folds == fold
        scores[held] = learn(outcomes.part(~held), held, outcomes)
    return scores


def _learnt(known: Outcomes, held: NDArray[np.bool_], outcomes: Outcomes) -> Scores:
    return gains(priors.read(fit(known, *scales(known))), outcomes.part(held))


def _linear(structures: Scores) -> Callable[[Outcomes, NDArray[np.bool_], Outcomes], Scores]:
    scaled = np.clip((structures - structures.mean(0)) / (structures.std(0) + 1e-3), -4, 4)
    rows = np.c_[scaled, np.ones(len(scaled))]

    def learn(known: Outcomes, held: NDArray[np.bool_], _outcomes: Outcomes) -> Scores:
        gain = known.right[:, 1] - known.right[:, 0]
        inner = rows[~held].T @ rows[~held] + 30 * np.eye(rows.shape[1])
        return np.asarray(rows[held] @ np.linalg.solve(inner, rows[~held].T @ gain))

    return learn


def gains(prior: Prior, outcomes: Outcomes) -> Scores:
    """What the prior expects the strong model to do better, per question."""
    basis = prior.basis.of_many(np.array([f.structure for f in outcomes.features]))
    pairs = [prior.of(f, row) for f, row in zip(outcomes.features, basis, strict=True)]
    return np.array([strong - weak for weak, strong in pairs])


def _oracle(outcomes: Outcomes) -> Scores:
    return np.asarray(outcomes.right[:, 1] - outcomes.right[:, 0])


def _cells(outcomes: Outcomes, scores: Scores, chosen: NDArray[np.bool_]) -> str:
    weak, strong = outcomes.right[chosen].T
    return f"{apgr(scores[chosen], weak, strong):>14.3f}{savings(scores[chosen], weak, strong, 0.95):>15.0%}"


if __name__ == "__main__":
    sys.exit(main())
