"""The weight of meaning for one's own questions, found on one half of them and proven on the other. Pure functions.

What each stage found is asked once; every weight is then tried on those scores, as a search would have fused them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.evaluation import Question, ndcg
from intellirouter.roles.rag_manager.fusion import convex
from intellirouter.roles.rag_manager.shape import alpha_for

LEAST = 20
"""Questions: half of fewer say nothing."""
STEPS = 20
PROVEN = 1.0
"""Standard errors by which the other half must be better, for the weight to be worth a change."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and what an explained retrieval said of it."""

    question: Question
    explanation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tuned:
    """nDCG@10 of both weights on the half that was tuned on (`seen`) and on the other (`held_out`); `error` is the standard error of
    the difference on the latter."""

    now: float
    best: float
    seen: tuple[float, float]
    held_out: tuple[float, float]
    error: float
    questions: tuple[int, int]

    @property
    def proven(self) -> bool:
        """The weight found is better where it was not looked for."""
        gain = self.held_out[1] - self.held_out[0]
        return self.best != self.now and gain > 0 and gain >= PROVEN * self.error


def tuned(asked: Sequence[Asked], documents: Mapping[str, str], now: float) -> Tuned:
    """The best of `STEPS` + 1 weights. `documents` gives ids by name. Raises `InvalidRequest` for too few questions."""
    seen = [one for one in asked if _half(one.question) == 0]
    other = [one for one in asked if _half(one.question) == 1]
    if len(asked) < LEAST or not seen or len(other) < 2:
        raise InvalidRequest(f"Tuning takes {LEAST} questions or more; there are {len(asked)}.")
    weights = [step / STEPS for step in range(STEPS + 1)]
    means = {weight: fmean(_gains(seen, documents, weight)) for weight in {*weights, now}}
    best = max(means, key=lambda weight: (round(means[weight], 6), -abs(weight - now)))
    before, after = _gains(other, documents, now), _gains(other, documents, best)
    differences = [b - a for a, b in zip(before, after, strict=True)]
    return Tuned(
        now=now,
        best=best,
        seen=(means[now], means[best]),
        held_out=(fmean(before), fmean(after)),
        error=stdev(differences) / math.sqrt(len(differences)),
        questions=(len(seen), len(other)),
    )


def _half(question: Question) -> int:
    """The same half whatever else is asked."""
    return hashlib.sha256(question.query.encode("utf-8", "surrogatepass")).digest()[0] & 1


def _gains(asked: Sequence[Asked], documents: Mapping[str, str], weight: float) -> list[float]:
    return [ndcg(_ranked(one, weight), {documents[name] for name in one.question.documents}) for one in asked]


def _ranked(one: Asked, weight: float) -> list[str]:
    rows = one.explanation["candidates"]
    near = {row["id"]: row["dense_score"] for row in rows if row["dense_score"] is not None}
    worded = {row["id"]: row["lexical_score"] for row in rows if row["lexical_score"] is not None}
    known = bool(one.explanation["known"])
    fluency = float(one.explanation.get("fluency", 1.0))  # an older node does not say
    alpha = alpha_for(one.question.query, weight, worded, known=known, fluency=fluency)
    fused = convex(near, worded, alpha)
    ordered = sorted(rows, key=lambda row: -fused.get(row["id"], 0.0))
    return list(dict.fromkeys(row["document_id"] for row in ordered))
