"""One order from the dense and the lexical one. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, pstdev

RRF_K = 60
"""Cormack, Clarke and Büttcher 2009."""

Scores = Mapping[str, float]


def convex(dense: Scores, lexical: Scores, alpha: float) -> dict[str, float]:
    """`alpha` times the dense standard score plus the rest lexical, brought to 0…1 by the logistic function.

    Words that match no better than the average match say nothing: most candidates share some common word with the query.
    Standard scores after Renda and Straccia 2003, "Web metasearch: rank vs. score based rank aggregation methods".
    """
    near, worded = _standard(dense), _standard(lexical)
    return {
        id_: _logistic(alpha * near.get(id_, 0.0) + (1 - alpha) * max(0.0, worded.get(id_, 0.0)))
        for id_ in {**dense, **lexical}
    }


def words_first(dense: Scores, lexical: Scores, alpha: float) -> dict[str, float]:
    """The same where the model does not know the script: words decide, all of them, and what has none of them comes last.

    `alpha` is then small: nearness to other text that the model cannot read either only settles what words leave open.
    """
    near, worded = _standard(dense), _standard(lexical)
    furthest, last = min(near.values(), default=0.0), min(worded.values(), default=0.0) - 1
    return {
        id_: _logistic(alpha * near.get(id_, furthest) + (1 - alpha) * worded.get(id_, last))
        for id_ in {**dense, **lexical}
    }


def reciprocal_rank(dense: Scores, lexical: Scores) -> dict[str, float]:
    """The sum of 1 / (60 + rank)."""
    fused: dict[str, float] = {}
    for scores in (dense, lexical):
        for rank, id_ in enumerate(sorted(scores, key=scores.__getitem__, reverse=True), 1):
            fused[id_] = fused.get(id_, 0.0) + 1 / (RRF_K + rank)
    return fused


def _standard(scores: Scores) -> dict[str, float]:
    """In standard deviations above the mean of the list."""
    if len(scores) < 2:
        return dict.fromkeys(scores, 1.0)
    mean = fmean(scores.values())
    spread = pstdev(scores.values(), mean)
    return {id_: (score - mean) / spread if spread else 0.0 for id_, score in scores.items()}


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
