"""How well retrieval does on questions whose answers are known: dense, lexical and hybrid side by side.

A question names the documents that answer it. What is ranked is documents: each counts where its first passage stands.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import msgspec

from intellirouter.errors import InvalidRequest
from intellirouter.peers.contract import Retrieved

DEPTH = 10
_BY = {"dense": "by meaning", "lexical": "by words"}
STAGES = {"dense": "dense_score", "lexical": "lexical_score", "hybrid": "score"}
UNFED = {"unfed": "plain_score"}
"""The hybrid without feedback, for who measures it too."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and the names of the documents that answer it (at least one)."""

    query: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the questions, 0 to 1; `first` is the share of those whose first document answers them. How far `ndcg` is from hybrid's is known to about one `error` either way.

    That is the standard error of the mean of the differences question by question: of few questions, chance says much.
    """

    ndcg: float
    recall: float
    error: float = 0.0
    first: float = 0.0


@dataclass(frozen=True, slots=True)
class Miss:
    """A question none of whose documents is among the first ten, and what kept the best of them away."""

    query: str
    document: str
    reason: str


def miss_of(
    question: Question,
    candidates: Sequence[Mapping[str, Any]],
    documents: Mapping[str, str],
    unread: Mapping[str, str],
) -> Miss | None:
    """None where a document that answers is among the first. `unread` says of documents that are not ready how they stand."""
    ranks = {stage: ranking(candidates, stage) for stage in STAGES}
    places = {
        name: {
            stage: rank.index(documents[name]) + 1 for stage, rank in ranks.items() if documents[name] in rank
        }
        for name in question.documents
    }
    best = min(places, key=lambda name: places[name].get("hybrid", math.inf))
    place = places[best]
    if place.get("hybrid", math.inf) <= DEPTH:
        return None
    if best in unread:
        reason = f"not read: {unread[best]}"
    elif not place:
        reason = "not found: none of its passages is among the first by meaning or by words"
    else:
        told = [f"{words} {place[stage]}" for stage, words in _BY.items() if stage in place]
        reason = f"ranked low: {place.get('hybrid', '—')} ({', '.join(told)})"
    return Miss(question.query, best, reason)


def ndcg(ranked: Sequence[str], relevant: Collection[str], depth: int = DEPTH) -> float:
    """Normalised discounted cumulative gain with gains of 0 and 1 (Järvelin and Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, id_ in enumerate(ranked[:depth], 1) if id_ in relevant)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(relevant), depth) + 1))
    return gain / best


def recall(ranked: Sequence[str], relevant: Collection[str], depth: int = DEPTH) -> float:
    """The share of the relevant that is among the first `depth`."""
    return len(set(ranked[:depth]).intersection(relevant)) / len(relevant)


def ranking(candidates: Sequence[Mapping[str, Any]], stage: str) -> list[str]:
    """Document ids in the order of one stage's scores, from the candidates of an explained retrieval."""
    field = (STAGES | UNFED).get(stage, f"{stage}_score")
    scored = [row for row in candidates if row.get(field) is not None]
    scored.sort(key=lambda row: -row[field])
    return list(dict.fromkeys(row["document_id"] for row in scored))


def read_questions(lines: bytes) -> list[Question]:
    """Questions from JSON lines of `{"query": …, "documents": [names]}`. Raises `InvalidRequest` naming the line."""
    decoder = msgspec.json.Decoder(Question)
    questions = []
    for number, line in enumerate(lines.splitlines(), 1):
        if not line.strip():
            continue
        try:
            question = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"Line {number} of the questions: {error}.") from error
        if not question.documents:
            raise InvalidRequest(f"Line {number} of the questions names no document.")
        questions.append(question)
    if not questions:
        raise InvalidRequest("There are no questions.")
    return questions


async def evaluate(
    ask: Callable[[str], Awaitable[Retrieved]],
    questions: Sequence[Question],
    documents: Mapping[str, str],
    asked: Callable[[], None] = lambda: None,
    missed: Callable[[Question, Sequence[Mapping[str, Any]]], None] = lambda _question, _found: None,
    stages: Collection[str] = tuple(STAGES),
) -> dict[str, Quality]:
    """By stage. `ask` retrieves with `explain`; `documents` gives ids by name; `asked` is called after each question.

    `missed` is given every question with its candidates, to look for what went wrong. A stage of the caller's own is read from the
    candidates' `…_score`.

    Raises `InvalidRequest` for a document that is not in the collection.
    """
    if unknown := {name for question in questions for name in question.documents if name not in documents}:
        raise InvalidRequest(f"The collection has no document '{min(unknown)}' ({len(unknown)} are unknown).")
    gains: dict[str, list[float]] = {stage: [] for stage in stages}
    found, first = dict.fromkeys(stages, 0.0), dict.fromkeys(stages, 0)
    for question in questions:
        relevant = {documents[name] for name in question.documents}
        candidates = (await ask(question.query)).explanation["candidates"]
        for stage in stages:
            ranked = ranking(candidates, stage)
            gains[stage].append(ndcg(ranked, relevant))
            found[stage] += recall(ranked, relevant)
            first[stage] += ranked[:1] != [] and ranked[0] in relevant
        missed(question, candidates)
        asked()
    return {
        stage: Quality(
            fmean(each),
            found[stage] / len(questions),
            _standard_error(each, gains["hybrid"]),
            first[stage] / len(questions),
        )
        for stage, each in gains.items()
    }


def _standard_error(one: Sequence[float], other: Sequence[float]) -> float:
    """Of the mean difference of paired values."""
    if len(one) < 2:
        return 0.0
    return stdev([a - b for a, b in zip(one, other, strict=True)]) / math.sqrt(len(one))
