"""One order from the dense and the lexical one. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

RRF_K = 60
"""Cormack, Clarke and Büttcher 2009."""

Scores = Mapping[str, float]


def convex(dense: Scores, lexical: Scores, alpha: float) -> dict[str, float]:
    """`alpha` times the dense score plus the rest lexical, each scaled to 0…1 over its list; absent is 0."""
    near, worded = _scaled(dense), _scaled(lexical)
    return {
        id_: alpha * near.get(id_, 0.0) + (1 - alpha) * worded.get(id_, 0.0) for id_ in {**dense, **lexical}
    }


def reciprocal_rank(dense: Scores, lexical: Scores) -> dict[str, float]:
    """The sum of 1 / (60 + rank)."""
    fused: dict[str, float] = {}
    for scores in (dense, lexical):
        for rank, id_ in enumerate(sorted(scores, key=scores.__getitem__, reverse=True), 1):
            fused[id_] = fused.get(id_, 0.0) + 1 / (RRF_K + rank)
    return fused


def _scaled(scores: Scores) -> dict[str, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {id_: (score - low) / (high - low) for id_, score in scores.items()}
