"""One order over the candidates of all collections, and what an explanation says of it. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intellirouter.config.schema.rag import RagSection
from intellirouter.peers.contract import RetrievalRequest
from intellirouter.roles.rag_manager.catalog import ChunkRow, CollectionRow
from intellirouter.roles.rag_manager.choosing import Found
from intellirouter.roles.rag_manager.fusion import convex, reciprocal_rank, words_first
from intellirouter.roles.rag_manager.relevance import shares_words
from intellirouter.roles.rag_manager.shape import alpha_for


@dataclass(frozen=True, slots=True)
class Candidates:
    """Of one collection: raw scores by chunk id, and the chunks. `files` describes documents that lie on another node."""

    collection: CollectionRow
    dense: dict[str, float]
    lexical: dict[str, float]
    chunks: dict[str, ChunkRow]
    partial: bool
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    floor: float = 0.0
    """The cosine below which nearness says nothing."""
    known: bool = True
    """Whether the model knows the query's script."""
    fluency: float = 1.0
    """How well it knows the query's words."""
    fed: tuple[dict[str, float], dict[str, float]] | None = None
    """Nearness and word scores after feedback, where the query is of the kind that it helps."""


def ranked(section: RagSection, request: RetrievalRequest, several: Sequence[Candidates]) -> list[Found]:
    """Best first: scores are scaled together, so that a collection which has nothing near the query does not fill the top."""
    near = _together((one.dense, one) for one in several)
    worded = _together((one.lexical, one) for one in several)
    alpha = _alpha(section, request, several, worded)
    if request.mode == "dense":
        worded = {}
    elif request.mode == "lexical":
        near = {}
    known = request.mode != "fused" or all(one.known for one in several)
    plain = fused = _joined(section, near, worded, alpha, known=known)
    if any(one.fed for one in several):
        fed = [(one.fed or (one.dense, one.lexical), one) for one in several]
        near_fed, worded_fed = (_together((scores[place], one) for scores, one in fed) for place in (0, 1))
        fused = _joined(section, near_fed, worded_fed, alpha, known=known)
    found = [
        Found(one.collection.name, chunk, fused[id_], near.get(id_), worded.get(id_), plain[id_])
        for one in several
        for id_, chunk in one.chunks.items()
        if id_ in fused
    ]
    return sorted(found, key=lambda item: -item.score)


def relevant(query: str, found: Sequence[Found], candidates: Sequence[Candidates]) -> list[Found]:
    """Those that are nearer than what is unrelated, or have what the query's words tell."""
    floors = {one.collection.name: one.floor if one.known else math.inf for one in candidates}
    return [
        item
        for item in found
        if (item.dense is not None and item.dense > floors[item.collection])
        or (
            item.lexical is not None
            and shares_words(
                query, f"{item.chunk.title}\n{item.chunk.location}\n{item.chunk.context}\n{item.chunk.text}"
            )
        )
    ]


def explained(
    section: RagSection,
    request: RetrievalRequest,
    found: Sequence[Found],
    rerank: str | None,
    candidates: Sequence[Candidates],
) -> dict[str, Any]:
    """How it was ranked, and every candidate with its scores and what became of it."""
    alpha = _alpha(section, request, candidates, _together((one.lexical, one) for one in candidates))
    rows = [
        {
            "id": item.chunk.id,
            "document_id": item.chunk.document,
            "collection": item.collection,
            "score": item.score,
            "plain_score": item.plain,
            "dense_score": item.dense,
            "lexical_score": item.lexical,
            "rerank_score": item.rerank,
            "outcome": item.outcome,
        }
        for item in found
    ]
    return {
        "fusion": f"convex, alpha {alpha:g}" if section.fusion == "convex" else "rrf",
        "fusion_alpha": section.fusion_alpha,
        "known": all(one.known for one in candidates),
        "fluency": min((one.fluency for one in candidates), default=1.0),
        "feedback": any(one.fed is not None for one in candidates),
        "rerank": rerank,
        "variants": list(request.variants),
        "passages": list(request.passages),
        "candidates": rows,
    }


def _alpha(
    section: RagSection,
    request: RetrievalRequest,
    several: Sequence[Candidates],
    worded: Mapping[str, float],
) -> float:
    if request.mode != "fused":
        return float(request.mode == "dense")
    known = all(one.known for one in several)
    fluency = min((one.fluency for one in several), default=1.0)
    return alpha_for(request.query, section.fusion_alpha, worded, known=known, fluency=fluency)


def _joined(
    section: RagSection, near: Mapping[str, float], worded: Mapping[str, float], alpha: float, *, known: bool
) -> dict[str, float]:
    if section.fusion == "rrf":
        return reciprocal_rank(near, worded)
    return (convex if known else words_first)(near, worded, alpha)


def _together(several: Iterable[tuple[Mapping[str, float], Candidates]]) -> dict[str, float]:
    """Scores of several collections, of the chunks that are still there."""
    return {id_: score for scores, one in several for id_, score in scores.items() if id_ in one.chunks}
