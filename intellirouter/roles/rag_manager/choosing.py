"""From ranked candidates to passages. Pure functions.

Near enough, no text twice nor nearly so in another document, few of one document, within the token budget; chunks that follow
one another under one heading become one passage, without the text they share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN
from intellirouter.peers.contract import Passage, RetrievalRequest
from intellirouter.roles.rag_manager.catalog import ChunkRow
from intellirouter.roles.rag_manager.resemblance import Shingles, alike, shingles

SHARED = 1_000
"""At most so many characters are looked through for what two neighbours share."""


@dataclass(slots=True)
class Found:
    """A candidate, and what became of it."""

    collection: str
    chunk: ChunkRow
    score: float
    dense: float | None
    lexical: float | None
    plain: float = 0.0
    """The score without feedback."""
    rerank: float | None = None
    outcome: str = "not reached"


def choose(request: RetrievalRequest, ranked: Sequence[Found], per_document: int) -> list[Passage]:
    """The best `top_k` passages of `ranked`, which is best first; each candidate's outcome is noted in it."""
    budget = request.token_budget
    texts: set[str] = set()
    likenesses: list[tuple[str, Shingles]] = []
    taken: Counter[str] = Counter()
    chosen: list[list[Found]] = []
    for item in ranked:
        text = " ".join(item.chunk.text.split()).lower()
        likeness = shingles(text)
        cost = -(-len(item.chunk.text) // CHARACTERS_PER_TOKEN)
        if (item.dense or 0.0) < request.min_score:
            item.outcome = "below min_score"
        elif text in texts:
            item.outcome = "same text as a better one"
        elif any(other != item.chunk.document and alike(likeness, known) for other, known in likenesses):
            item.outcome = "nearly the text of a better one"
        elif taken[item.chunk.document] >= per_document:
            item.outcome = "max_chunks_per_document reached"
        elif budget is not None and cost > budget:
            item.outcome = "over the token budget"
        else:
            texts.add(text)
            likenesses.append((item.chunk.document, likeness))
            taken[item.chunk.document] += 1
            budget = None if budget is None else budget - cost
            beside = [parts for parts in chosen if any(_follow(item.chunk, part.chunk) for part in parts)]
            item.outcome = "joined to a neighbour" if beside else "chosen"
            if not beside:
                chosen.append([item])
            else:  # it may close the gap between two
                beside[0].extend((item, *(part for parts in beside[1:] for part in parts)))
                chosen = [parts for parts in chosen if not any(parts is other for other in beside[1:])]
            if len(chosen) == request.top_k:
                break
    return [_passage(parts) for parts in chosen]


def _follow(one: ChunkRow, other: ChunkRow) -> bool:
    same = one.document == other.document and one.location == other.location
    return same and abs(one.position - other.position) == 1


def _passage(parts: Sequence[Found]) -> Passage:
    """Of one chunk, or of neighbours in reading order; it has the id and the scores of the best."""
    best = parts[0]
    return Passage(
        id=best.chunk.id,
        text="".join(_joined([part.chunk for part in sorted(parts, key=lambda part: part.chunk.position)])),
        score=best.score,
        document_id=best.chunk.document,
        collection=best.collection,
        title=best.chunk.title,
        location=best.chunk.location,
        dense_score=best.dense,
        lexical_score=best.lexical,
        rerank_score=best.rerank,
    )


def _joined(chunks: Sequence[ChunkRow]) -> Iterator[str]:
    yield chunks[0].text
    for before, after in pairwise(chunks):
        longest = min(len(before.text), len(after.text), SHARED)
        shared = next((n for n in range(longest, 0, -1) if before.text.endswith(after.text[:n])), 0)
        yield after.text[shared:] if shared else f"\n{after.text}"
