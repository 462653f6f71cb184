"""The statistics of one target: what they say before and after outcomes, and what is kept where they are in doubt."""

from __future__ import annotations

import numpy as np
import pytest

from intellirouter.inference.learning.basis import WIDTH
from intellirouter.inference.learning.estimator import Estimator

SLOTS = np.zeros(0, np.int64)


def taught(outcomes: int, *, told: int = WIDTH, weight: float = 1.0) -> Estimator:
    """Good at one half of the questions and bad at the other, which the basis tells apart; `told` of its numbers are not 0."""
    chance = np.random.default_rng(7)
    made = Estimator()
    for _ in range(outcomes):
        basis = np.zeros(WIDTH, np.float32)
        basis[:told] = chance.normal(size=told)
        score = 0.5 + 0.4 * float(np.sign(basis[0])) + float(chance.normal(0, 0.05))
        made.learn(float(chance.random()), basis, SLOTS, score, weight)
    made.fit()
    return made


def test_nothing_learnt_is_the_prior_and_all_the_doubt_there_is() -> None:
    new = Estimator()
    basis = np.ones(WIDTH, np.float32)
    assert [new.expected(prior, basis, SLOTS) for prior in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]
    assert (new.heeded(), new.uncertainty()) == ((0.0, 0.0), 0.3)


def test_doubt_about_how_good_it_is_keeps_the_mean_and_what_it_is_better_at() -> None:
    known = taught(150)
    level, column, mean = known.gram[0, 0], known.gram[:, 0].copy(), known.moment[0] / known.gram[0, 0]
    shape = known.gram - np.outer(column, column) / level
    lead = known.moment - mean * column
    known.doubt(40.0)
    now = known.gram[:, 0]
    assert now[0] == pytest.approx(40.0)
    assert known.moment[0] / now[0] == pytest.approx(mean)
    assert now / now[0] == pytest.approx(column / level)
    assert known.gram - np.outer(now, now) / now[0] == pytest.approx(shape, abs=1e-6)
    assert known.moment - mean * now == pytest.approx(lead, abs=1e-6)


def test_doubt_leaves_alone_what_little_is_known() -> None:
    known = taught(30)
    before = known.gram.copy(), known.moment.copy()
    known.doubt(40.0)
    assert known.gram == pytest.approx(before[0])
    assert known.moment == pytest.approx(before[1])


def test_of_much_that_is_known_doubt_leaves_what_some_hundreds_of_outcomes_weigh() -> None:
    known = taught(60, weight=10.0)
    assert known.weight > 500
    good, error = known.good / known.weight, known.error / known.weight
    known.doubt(40.0)
    assert known.weight == pytest.approx(300.0)
    assert known.gram[0, 0] == pytest.approx(40.0)
    assert (known.good / known.weight, known.error / known.weight) == pytest.approx((good, error))


def test_an_error_is_that_of_as_many_parameters_as_were_told() -> None:
    known = taught(200, told=1)
    noise = known.error / known.weight
    level = 1 / (known.gram[0, 0] + 1)
    two, three = ((noise * ((count - 1) / (known.weight + 1) + level)) ** 0.5 for count in (2, 3))
    assert known.heeded()[0] > 0.9
    assert two < known.uncertainty() < three < 0.3
