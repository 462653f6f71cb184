"""Makes `intellirouter/inference/learning/prior.npz` from published outcomes: `python -m scripts.difficulty_prior FILE`.

FILE holds JSON Lines, gzipped or not: `{"prompt": …, "weak": 0 or 1, "strong": 0 or 1}`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intellirouter.inference.learning import prior as priors
from intellirouter.inference.learning.basis import WIDTH, Basis
from intellirouter.inference.learning.features import SLOT_BITS, Features, features_of
from intellirouter.inference.learning.question import Question, cut, human

HERE = Path(__file__).parents[1] / "intellirouter/inference/learning" / priors.FILE
BASIS_PENALTY, SLOT_PENALTY = 60.0, 30.0
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Questions and who answered them rightly: `right` is (n, 2), the weak and the strong."""

    features: list[Features]
    right: Doubles
    sets: NDArray[np.str_]
    source: str

    def part(self, chosen: NDArray[np.bool_]) -> Outcomes:
        places = np.flatnonzero(chosen)
        return Outcomes(
            [self.features[i] for i in places], self.right[places], self.sets[places], self.source
        )


def read(path: Path) -> Outcomes:
    """The outcomes of a file."""
    data = path.read_bytes()
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    features = [features_of(Question(cut(human(row["prompt"])), len(row["prompt"]))) for row in rows]
    right = np.array([[row["weak"], row["strong"]] for row in rows], float)
    sets = np.array([row.get("set", "all") for row in rows])
    return Outcomes(features, right, sets, hashlib.sha256(text).hexdigest())


def scales(outcomes: Outcomes) -> tuple[priors.Floats, priors.Floats]:
    """Mean and spread of each structural number."""
    structures = np.array([f.structure for f in outcomes.features])
    return structures.mean(0), structures.std(0) + 1e-3


def fit(outcomes: Outcomes, mean: priors.Floats, spread: priors.Floats) -> bytes:
    """The prior learnt from `outcomes`: ridge regressions over the basis and over the n-grams, halved and added."""
    basis = Basis(mean, spread).of_many(np.array([f.structure for f in outcomes.features]))
    rows = np.c_[basis.astype(float), np.ones(len(basis))]
    gram = rows.T @ rows + np.diag([BASIS_PENALTY] * WIDTH + [1e-6])
    heads = np.linalg.solve(gram, rows.T @ outcomes.right).T
    means = outcomes.right.mean(0)
    slots = np.stack([_grams(outcomes.features, outcomes.right[:, k] - means[k]) for k in (0, 1)])
    heads = heads / 2
    heads[:, -1] += means / 2
    return priors.write(mean, spread, heads.astype(np.float32), slots / 2, source=outcomes.source)


def _grams(features: list[Features], left: Doubles) -> priors.Floats:
    """Ridge regression over unit vectors of n-grams, by conjugate gradients in the dual: (K + λ) a = y."""
    sizes = np.array([len(f.slots) for f in features])
    flat = np.concatenate([f.slots for f in features]).astype(np.int64)
    owner = np.repeat(np.arange(len(features)), sizes)
    value = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)

    def down(a: Doubles) -> Doubles:
        return np.bincount(flat, weights=a[owner] * value, minlength=1 << SLOT_BITS)

    def up(w: Doubles) -> Doubles:
        return np.bincount(owner, weights=w[flat] * value, minlength=len(features))

    a = np.zeros(len(features))
    r = left.copy()
    p, norm = r.copy(), float(r @ r)
    for _ in range(30):
        applied = up(down(p)) + SLOT_PENALTY * p
        step = norm / float(p @ applied)
        a += step * p
        r -= step * applied
        new = float(r @ r)
        if new < 1e-6 * float(left @ left):
            break
        p, norm = r + new / norm * p, new
    return down(a).astype(np.float32)


def main() -> None:
    """Write the prior, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    outcomes = read(parser.parse_args().file)
    data = fit(outcomes, *scales(outcomes))
    HERE.write_bytes(data)
    print(f"{HERE}: {len(data) / 1024:.0f} kB from {len(outcomes.features):,} questions")


if __name__ == "__main__":
    main()
