"""What is learnt from outcomes: skill by question, change, contradiction, poison; and that weights travel unharmed."""

from __future__ import annotations

import io
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intellirouter.cli.route_eval import curve_of
from intellirouter.inference.learning import keeping, packed
from intellirouter.inference.learning import prior as priors
from intellirouter.inference.learning.estimator import Estimator
from intellirouter.inference.learning.evaluation import evaluated
from intellirouter.inference.learning.features import VERSION, Features, features_of
from intellirouter.inference.learning.group import Group
from intellirouter.inference.learning.keeping import Learning
from intellirouter.inference.learning.measure import apgr, savings
from intellirouter.inference.learning.question import Question
from intellirouter.inference.learning.weights import decode, encode, estimate, fitted
from scripts.benchmarks import routing
from scripts.difficulty_prior import fit, read, scales
from tests.inference.learning.made import outcomes_file, questions, skill

PRIOR = priors.shipped()
WORLD = [(features_of(Question(text, len(text))), hard) for text, hard in questions(500)]
ALIKE = {"weak": 0.5, "strong": 0.5}


def taught(
    group: Group, world: list[tuple[Features, bool]], *, seed: int = 0, lie: float = 0.0, key: str = "k"
) -> None:
    """Each question answered by one of two targets; `lie` is the share of outcomes turned around."""
    chance = random.Random(seed)
    for features, hard in world:
        name = chance.choice(("weak", "strong"))
        basis = PRIOR.basis.of(features)
        score = skill(hard, name == "strong", chance)
        score = 1 - score if chance.random() < lie else score
        expected = priors.between(PRIOR.of(features, basis), 0.5)
        group.learn(name, expected, basis, features.slots, score=score, key=key, propensity=0.5)


def lead(group: Group, hard: bool) -> float:
    """How much better the strong target is expected to be, on questions of one kind."""
    weights = fitted(group, 1, 0.0)
    found = [estimate(weights, PRIOR, features, ALIKE) for features, kind in WORLD[:120] if kind is hard]
    return float(np.mean([one["strong"].success - one["weak"].success for one in found]))


def test_who_is_good_at_what_is_learnt_from_the_chosen_targets_outcomes() -> None:
    group = Group()
    taught(group, WORLD)
    assert lead(group, hard=True) > 0.45
    assert abs(lead(group, hard=False)) < 0.2


def test_a_fifth_of_the_outcomes_turned_around_does_not_mislead() -> None:
    group = Group()
    taught(group, WORLD, lie=0.2)
    assert lead(group, hard=True) > lead(group, hard=False) + 0.15


def test_without_outcomes_the_prior_speaks_and_a_dearer_target_is_held_for_better_at_hard_questions() -> None:
    features = WORLD[0][0]
    found = estimate(fitted(Group(), 0, 0.0), PRIOR, features, {"cheap": 0.0, "dear": 1.0})
    assert found["dear"].success > found["cheap"].success
    assert found["dear"].outcomes == 0


def test_a_target_that_changed_is_noticed_and_learnt_anew() -> None:
    estimator, chance = Estimator(), random.Random(3)
    features, _ = WORLD[0]
    basis = PRIOR.basis.of(features)
    for _ in range(600):
        estimator.learn(0.7, basis, features.slots, int(chance.random() < 0.9), 1.0)
    for _ in range(250):
        estimator.learn(0.7, basis, features.slots, int(chance.random() < 0.4), 1.0)
    assert estimator.changes >= 1
    assert estimator.expected(0.7, basis, features.slots) < 0.65


def test_one_key_that_lies_is_not_heeded_where_others_disagree() -> None:
    honest, poisoned = Group(), Group()
    for group in (honest, poisoned):
        for index in range(4):
            taught(group, WORLD[index * 120 : index * 120 + 120], seed=index, key=f"key {index}")
    taught(poisoned, WORLD, seed=9, lie=1.0, key="liar")
    assert lead(poisoned, hard=True) == pytest.approx(lead(honest, hard=True), abs=0.15)
    assert poisoned.influence.share("liar") == 0
    assert poisoned.influence.share("key 1") == 1.0


@pytest.mark.parametrize(
    "shape", ["lies of the weak", "praises the weak", "damns the strong", "lies by turns"]
)
def test_a_flood_of_one_key_moves_little_whatever_its_shape(shape: str) -> None:
    flooded, chance = Group(), random.Random(5)
    for index in range(6):
        taught(flooded, WORLD[index * 70 : index * 70 + 70], seed=index, key=f"key {index}")
    for number in range(400):
        features, hard = WORLD[number % len(WORLD)]
        name = {"l": "weak", "p": "weak", "d": "strong"}[shape[0]]
        if shape == "lies by turns":
            name = chance.choice(("weak", "strong"))
        score = skill(hard, name == "strong", chance)
        if shape[0] == "l":
            score = 1 - score if shape == "lies of the weak" or number % 100 < 50 else score
        else:
            score = int(shape[0] == "p")
        basis = PRIOR.basis.of(features)
        expected = priors.between(PRIOR.of(features, basis), 0.5)
        flooded.learn(name, expected, basis, features.slots, score=score, key="flood", propensity=0.5)
    assert all(one.changes == 0 for one in flooded.estimators.values()), "one key is no change of a target"
    assert flooded.influence.accounts["flood"].given <= (250 if shape == "lies by turns" else 40)
    assert lead(flooded, hard=True) > lead(flooded, hard=False) + 0.15


def test_a_change_that_most_keys_tell_of_is_one() -> None:
    group = Group()
    features, _ = WORLD[0]
    basis = PRIOR.basis.of(features)
    for number in range(700):
        group.learn("t", 0.7, basis, features.slots, score=float(number % 20 > 0), key=f"key {number % 4}")
    for number in range(60):
        group.learn("t", 0.7, basis, features.slots, score=float(number % 4 > 2), key=f"key {number % 4}")
    assert group.estimators["t"].changes >= 1
    assert group.exploring > 0


def test_a_group_that_one_key_uses_learns_from_that_key() -> None:
    group = Group()
    taught(group, WORLD, key="only")
    assert group.influence.share("only") == 1.0


def test_weights_travel_as_bytes() -> None:
    group = Group()
    taught(group, WORLD[:200])
    weights = fitted(group, 7, 12.5)
    again = decode(encode(weights))
    assert (again.targets, again.version, again.trained, again.facts) == (
        weights.targets,
        7,
        12.5,
        weights.facts,
    )
    ours, theirs = (estimate(one, PRIOR, WORLD[5][0], ALIKE) for one in (weights, again))
    assert ours["weak"].success == pytest.approx(theirs["weak"].success, abs=1e-3)


def test_accounts_of_keys_are_kept() -> None:
    learning = Learning(Group({"t": Estimator()}))
    learning.group.influence.note("k", 1.0, 0.7, 0.0)
    assert keeping.decode(keeping.encode(learning)).group.influence == learning.group.influence


def test_numbers_mean_what_their_version_says() -> None:
    """Weights are kept under `VERSION`. Whoever makes other numbers of a question, or another mean and spread, raises it and writes here what they are."""
    long = "def f(x):\n    return x + 1  # Größe\n" * 100
    for text, first, grams in (
        ("How many 3.5% apples if x=3?\nA. one\nB. two", (-0.532, 0.438, 0.166, 0.126), 2_155_839),
        (long, (0.492, 0.165, 0.485, 0.481), 450_242),
    ):
        numbers = features_of(Question(text, len(text)))
        assert PRIOR.basis.of(numbers)[:4].tolist() == pytest.approx(first, abs=2e-3)
        assert int(numbers.slots.astype(int).sum()) == grams
    assert VERSION == 2


def made_up(**arrays: object) -> bytes:
    """A file of numpy's with these arrays in it."""
    out = io.BytesIO()
    np.savez_compressed(out, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
    return out.getvalue()


def broken(data: bytes) -> bytes:
    """The same file with a packed array that cannot be unpacked."""
    place = data.index(b"slots.npy") + 60
    return data[:place] + bytes(20) + data[place + 20 :]


def one_array() -> bytes:
    """An array by itself, not packed with others."""
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


TAUGHT = Learning(Group({"t": Estimator()}))
WHOLE = {"weights": encode(fitted(TAUGHT.group, 1, 0.0)), "state": keeping.encode(TAUGHT)}
READERS = {"weights": decode, "state": keeping.decode}


def opened(data: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(data)) as file:
        return dict(file)


@pytest.mark.parametrize("kind", WHOLE)
def test_what_was_not_learnt_here_is_refused_whatever_it_is(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, read = WHOLE[kind], READERS[kind]
    arrays = opened(whole)
    assert read(whole)
    assert keeping.decode(keeping.encode(Learning())).group.estimators == {}
    wrong = [b"", b"PK\x03\x04", b"no weights", whole[:-30], broken(whole), one_array(), made_up(a=1)]
    wrong += [made_up(**{**arrays, "slots": slots}) for slots in (0.0, [["a"]], arrays["slots"][:, :9])]
    for name, values in arrays.items():
        if name != "head":
            wrong.append(made_up(**{**arrays, name: np.full_like(values, np.nan)}))
            wrong.append(made_up(**{**arrays, name: np.repeat(values, 2, axis=0)}))
    head = arrays["head"].tobytes()
    for said in (
        b"{}",
        b"\xff",
        head.replace(b'"format":1', b'"format":9'),
        head.replace(b'"features":2', b'"features":1'),
        head.replace(b'"t"', b"7"),
    ):
        wrong.append(made_up(**{**arrays, "head": np.frombuffer(said, np.uint8)}))
    for data in wrong:
        with pytest.raises(ValueError):
            read(data)
    monkeypatch.setattr(packed, "MAX_UNPACKED", 10_000)
    with pytest.raises(ValueError, match=r"may have 10,000"):
        read(whole)


def test_expected_success_stays_a_probability_whatever_is_learnt() -> None:
    group = Group()
    basis = PRIOR.basis.of(WORLD[0][0])
    for _ in range(50):
        group.learn("t", 0.99, basis, WORLD[0][0].slots, score=1.0, weight=5.0, propensity=1e-9)
    found = estimate(fitted(group, 1, 0.0), PRIOR, WORLD[0][0], {"t": 1.0, "other": 0.0})
    assert all(0 < one.success < 1 and math.isfinite(one.error) for one in found.values())


def test_the_measure_by_its_definition() -> None:
    weak, strong = [0, 1, 0, 1], [1, 1, 1, 1]
    assert apgr([2, 1, 2, 1], weak, strong) == pytest.approx(0.75)
    assert apgr([0, 0, 0, 0], weak, strong) == pytest.approx(0.5)
    assert apgr([1, 2, 1, 2], weak, strong) == pytest.approx(0.25)
    assert savings([2, 1, 2, 1], weak, strong, 1.0) == pytest.approx(0.5)
    assert math.isnan(apgr([1, 2], [1, 0], [1, 0]))


def test_an_evaluation_in_figures_and_as_a_curve() -> None:
    rows = [("the longest of them", 0, 1), ("a", 1, 1), ("a longer one", 0, 1), ("bb", 1, 1)]
    lines = [
        b"",
        *(json.dumps({"prompt": text, "weak": low, "strong": high}).encode() for text, low, high in rows),
    ]
    found = evaluated(lines, lambda features: float(len(features.slots)))
    assert found.figures() == {
        "prompts": 4,
        "quality_weak": 0.5,
        "quality_strong": 1.0,
        "apgr": 0.75,
        "saved": {"90%": 0.5, "95%": 0.5, "100%": 0.5},
    }
    assert found.points() == [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0), (0.75, 1.0), (1.0, 1.0)]
    curve = curve_of(found)
    assert [curve.at(share) for share in (0.0, 0.3, 0.45, 1.0)] == [0.5, 0.75, 1.0, 1.0]
    alike = evaluated([line for line in lines if b'"weak": 1' in line], lambda _: 0.0)
    assert (alike.figures()["apgr"], curve_of(alike).apgr) == (None, None)


def test_a_prior_is_made_of_a_file_of_outcomes_and_beats_chance(tmp_path: Path) -> None:
    known = read(outcomes_file(tmp_path / "known.jsonl", seed=1))
    unseen = read(outcomes_file(tmp_path / "unseen.jsonl", seed=2))
    prior = priors.read(fit(known, *scales(known)))
    assert apgr(routing.gains(prior, unseen), *unseen.right.T) > 0.7
    assert prior.source == known.source != unseen.source


def test_the_bench_runs_on_any_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert routing.main([str(outcomes_file(tmp_path / "made.jsonl", 300)), "--offline"]) == 0
    printed = capsys.readouterr().out
    assert {"random", "length", "learnt", "oracle"} <= {line.split(" ")[0] for line in printed.splitlines()}
    assert routing.main([str(tmp_path / "nothing.jsonl")]) == 2
