"""Tiers and routes by example."""

from __future__ import annotations

import pytest

from intellirouter.config.schema.model_registry import TiersSection
from intellirouter.inference.learning.features import features_of
from intellirouter.inference.learning.prior import shipped
from intellirouter.inference.learning.question import Question, cut
from intellirouter.inference.learning.tiers import route_of, taken, tier_of


def tier(text: str) -> str:
    question = Question(cut(text), len(text))
    features = features_of(question)
    prior = shipped()
    return tier_of(question, prior.of(features, prior.basis.of(features))[0])


@pytest.mark.parametrize(
    ("text", "among"),
    [
        ("Hi there!", ("simple",)),
        ("What is the capital of France?", ("simple",)),
        ("Translate 'good morning' into Spanish.", ("simple",)),
        ("Compare Postgres and SQLite for a small web shop.", ("medium", "complex")),
        (
            "Refactor this service into a distributed, concurrent worker pool, analyze its failure modes and implement "
            "the migration plan. " * 6,
            ("complex", "reasoning"),
        ),
        ("Prove by induction, step by step, that the sum of the first n odd numbers is n^2.", ("reasoning",)),
    ],
)
def test_questions_have_the_tier_people_expect(text: str, among: tuple[str, ...]) -> None:
    assert tier(text) in among


@pytest.mark.parametrize(
    ("text", "weak_success", "name"),
    [
        ("hello", 0.9, "simple"),
        ("a proof", 0.9, "medium"),
        ("a proof of a theorem", 0.9, "reasoning"),
        ("a proof", 0.59, "reasoning"),
        ("debug a proof", 0.9, "reasoning"),
        ("debug", 0.9, "medium"),
        ("debug and design", 0.9, "medium"),
        ("debug, design and plan", 0.9, "complex"),
        ("hello", 0.61, "medium"),
        ("debug", 0.49, "complex"),
        ("hello" * 100, 0.9, "medium"),
        ("hello" * 1_300, 0.9, "complex"),
    ],
)
def test_a_tier_follows_from_words_length_and_how_hard_it_is_held_for(
    text: str, weak_success: float, name: str
) -> None:
    assert tier_of(Question(cut(text), len(text)), weak_success) == name


def test_a_tier_without_a_target_takes_the_one_below() -> None:
    tiers = TiersSection(simple="a/m", complex="b/m")
    assert [tiers.target(name) for name in ("simple", "medium", "complex", "reasoning")] == [
        "a/m",
        "a/m",
        "b/m",
        "b/m",
    ]
    assert TiersSection(complex="b/m").target("simple") is None


ROUTES = (
    route_of(
        "sql", ("a/m",), ("Write a SQL query that counts users per day", "Optimise this SQL join"), 0.35
    ),
    route_of(
        "translate", ("b/m",), ("Translate this letter into French", "How do you say hello in Spanish?"), 0.35
    ),
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Please write a SQL query that counts orders per day.", "sql"),
        ("Translate this email into French, please", "translate"),
        ("how do you say good night in spanish", "translate"),
        ("Why is the sky blue?", None),
        ("", None),
    ],
)
def test_a_question_like_an_example_takes_its_route(text: str, name: str | None) -> None:
    found = taken(ROUTES, features_of(Question(text, len(text))))
    assert (found[0].name if found else None) == name
