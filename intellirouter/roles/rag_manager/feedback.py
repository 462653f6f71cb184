"""Pseudo relevance feedback: a query that describes at length is looked up again by what the best of its candidates have in common.

Words after Lavrenko and Croft 2001, "Relevance-based language models", mixed with the query's own (Abdul-Jaleel et al. 2004, "RM3");
vectors after Rocchio 1971. Only the candidates are scored again, so that nothing is asked of the store but their vectors. A
question has one answer rather than many alike and is left as it is, however long: what its candidates share leads away from it. So is
a query in a script that the embedding model was not made for, where nothing but the words says which candidates are good. Pure functions.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from intellirouter.roles.rag_manager import terms
from intellirouter.roles.rag_manager.catalog import ChunkRow
from intellirouter.roles.rag_manager.fusion import convex
from intellirouter.roles.rag_manager.lexical import telling
from intellirouter.roles.rag_manager.shape import describes, is_exact, is_question
from intellirouter.vectors.index import Vectors

_LIKE_WORDS, _TERMS, _OWN_WORDS = 5, 30, 0.6
"""Of how many candidates the words are taken, how many words, and what the query's own then weigh."""
_LIKE_VECTORS, _PULL = 3, 0.5
"""Of how many candidates the mean vector is taken, and its weight beside the query's own."""
_K1, _B = 1.2, 0.75
_STEM = 6
"""Words of one beginning count as one; the index itself knows better stems, and keeps them to itself."""
_WORD = re.compile(r"[^\W_]{2,}")
_BEGINNING = re.compile(r"([a-z0-9]{2,6})[a-z0-9]*")
"""Of each such word of plain letters: the same, several times faster."""

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Text:
    """How often each term stands in a chunk, title and heading twice, and how many there are."""

    counts: Counter[str]
    length: int


def helps(query: str, lexical: Scores) -> bool:
    """Whether the query is of the kind that feedback is for."""
    return describes(query) and not is_question(query) and not is_exact(query, lexical)


def fed_back(
    query: str,
    vector: Vectors,
    dense: Scores,
    lexical: Scores,
    chunks: Mapping[str, ChunkRow],
    vectors: Mapping[str, Vectors],
    alpha: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """The candidates' nearness and word scores by the query and what its best candidates have in common.

    `dense` are cosines, `lexical` scores of BM25, `vectors` those of candidates as far as they are at hand.
    """
    fused = convex(dense, lexical, alpha)
    best = sorted((id_ for id_ in fused if id_ in chunks), key=lambda id_: -fused[id_])
    odds = {id_: fused[id_] / max(1e-9, 1 - fused[id_]) for id_ in best[:_LIKE_WORDS]}
    texts = {id_: _text(chunks[id_]) for id_ in best}
    worded = _by_words(odds, texts)
    asked = max(1, len(telling(query)))
    words = {
        id_: _OWN_WORDS * lexical.get(id_, 0.0) / asked + (1 - _OWN_WORDS) * score
        for id_, score in worded.items()
    }
    near = dict(dense)
    like = [vectors[id_] for id_ in best[:_LIKE_VECTORS] if id_ in vectors]
    if like:
        moved = vector + _PULL * np.mean(like, axis=0)
        moved /= np.linalg.norm(moved)
        near |= {id_: float(vectors[id_] @ moved) for id_ in best if id_ in vectors}
    return near, {id_: score for id_, score in words.items() if score > 0}


def _by_words(odds: Scores, texts: Mapping[str, _Text]) -> dict[str, float]:
    """BM25 by the terms of those with `odds`, each weighed by how much it is theirs. Frequencies are those among the candidates."""
    if not odds:
        return {}
    total, count = sum(odds.values()), len(texts)
    weight: defaultdict[str, float] = defaultdict(float)
    for id_, odd in odds.items():
        for term, number in texts[id_].counts.items():
            weight[term] += odd / total * number / max(1, texts[id_].length)
    held: Counter[str] = Counter()
    for text in texts.values():
        held.update(text.counts.keys() & weight.keys())
    rare = {term: math.log(1 + (count - number + 0.5) / (number + 0.5)) for term, number in held.items()}
    chosen = sorted(weight, key=lambda term: -weight[term] * rare[term])[:_TERMS]
    together = sum(weight[term] for term in chosen) or 1.0
    mean = sum(text.length for text in texts.values()) / count or 1.0

    def score(text: _Text) -> float:
        tame = _K1 * (1 - _B + _B * text.length / mean)
        return sum(
            weight[term] / together * rare[term] * number * (_K1 + 1) / (number + tame)
            for term in chosen
            if (number := text.counts.get(term, 0))
        )

    return {id_: score(text) for id_, text in texts.items()}


def _text(chunk: ChunkRow) -> _Text:
    head, body = _terms(f"{chunk.title}\n{chunk.location}"), _terms(chunk.text)
    counts = Counter(body)
    for term in head:
        counts[term] += 2
    return _Text(counts, len(head) + len(body))


def _terms(text: str) -> Sequence[str]:
    if text.isascii():
        return _BEGINNING.findall(text.lower())
    return [word[:_STEM] if word.isascii() else word for word in _WORD.findall(terms.indexed(text).lower())]
