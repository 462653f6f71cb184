"""Tiers that people know: is a question simple, medium, complex, or does it want reasoning? And routes by example sentences.

Both are pure and need no outcomes. The tier is read off how hard the prior holds the question for, its length, and words that
ask for a chain of thought. A route is taken when the question shares enough of its n-grams with one of the route's examples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from intellirouter.inference.learning.features import Features, Slots, features_of
from intellirouter.inference.learning.question import Question, cut, human

SIMPLE, MEDIUM, COMPLEX, REASONING = TIERS = ("simple", "medium", "complex", "reasoning")
_REASONING = re.compile(
    r"\b(prove|proof|derive|derivation|theorem|lemma|step[- ]by[- ]step|chain of thought|think (?:hard|carefully|through)|"
    r"reason about|root cause|trade-?offs?|counterexample|induction|optimal strategy|solve for)\b",
    re.IGNORECASE,
)
_WORK = re.compile(
    r"\b(design|architect\w*|refactor\w*|debug\w*|implement\w*|analy[sz]e|compare|evaluate|optimi[sz]e|migrat\w+|critique|"
    r"algorithm|concurren\w+|distributed|plan)\b|```|\bdef \w+\(|\bclass \w+|\bSELECT\b.+\bFROM\b",
    re.IGNORECASE | re.DOTALL,
)


def tier_of(question: Question, weak_success: float) -> str:
    """The tier of a question. `weak_success`: how likely a small model is held to answer it well."""
    text = question.text
    thinking = len(_REASONING.findall(text))
    work = len(_WORK.findall(text[:2_000]))
    if thinking >= 2 or (thinking and (work or weak_success < 0.6)):
        return REASONING
    points = min(work, 3) + 2 * thinking
    points += (question.length > 400) + (question.length > 1_500) + (question.length > 6_000)
    points += (weak_success < 0.62) + (weak_success < 0.5)
    if points >= 3:
        return COMPLEX
    return MEDIUM if points >= 1 else SIMPLE


@dataclass(frozen=True, slots=True)
class Route:
    """`examples` as the n-grams of each; `likeness` (0 to 1) from which on a question is like one."""

    name: str
    targets: tuple[str, ...]
    examples: tuple[Slots, ...]
    likeness: float


def route_of(name: str, targets: tuple[str, ...], examples: tuple[str, ...], likeness: float) -> Route:
    """A route from its example sentences."""
    return Route(name, targets, tuple(_grams(text) for text in examples), likeness)


def _grams(text: str) -> Slots:
    said = human(text)
    return features_of(Question(cut(said), len(said))).slots


def taken(routes: tuple[Route, ...], features: Features) -> tuple[Route, float] | None:
    """The route whose example the question is most like, if it is like enough, and how much."""
    best: tuple[Route, float] | None = None
    for route in routes:
        found = max((likeness(features.slots, example) for example in route.examples), default=0.0)
        if found >= route.likeness and (best is None or found > best[1]):
            best = route, found
    return best


def likeness(one: Slots, other: Slots) -> float:
    """The cosine of two sets of n-grams: what they share over the root of the product of their sizes."""
    if not len(one) or not len(other):
        return 0.0
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return float(shared / (len(one) * len(other)) ** 0.5)
