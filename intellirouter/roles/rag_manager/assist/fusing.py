"""What several wordings of one question found in a collection, as the candidates of one. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from intellirouter.roles.rag_manager.ranking import Candidates
from intellirouter.vectors.index import Vectors

OWN = 0.5
"""The weight of the question as it was asked; its other wordings share the rest."""


def mixed(query: Vectors, others: Sequence[Vectors]) -> Vectors:
    """The vector whose product with a chunk's is the mean of the cosines, weighed: CombSUM of Fox and Shaw 1994."""
    return np.asarray(OWN * query + (1 - OWN) * np.mean(others, axis=0), np.float32)


def together(asked: Candidates, others: Sequence[Candidates], near: dict[str, float]) -> Candidates:
    """All that was found, near as `near` says. Scores of words are scaled to those of the question: a longer wording scores higher for nothing."""
    words: defaultdict[str, float] = defaultdict(float)
    worded = [one for one in others if one.lexical]
    top = max(asked.lexical.values(), default=0.0)
    for id_, score in asked.lexical.items():
        words[id_] += score * (OWN if worded else 1.0)
    for one in worded:
        best = max(one.lexical.values())
        weight = (1 - OWN if top else 1.0) / len(worded) * (top or best) / (best or 1.0)
        for id_, score in one.lexical.items():
            words[id_] += weight * score
    chunks = {**asked.chunks}
    for one in others:
        chunks |= one.chunks
    partial = any(one.partial for one in (asked, *others))
    return replace(asked, dense=near, lexical=dict(words), chunks=chunks, partial=partial, fed=None)
