"""The weight is found on one half of the questions, and told as proven only where the other half agrees."""

from __future__ import annotations

import pytest

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.evaluation import Question
from intellirouter.roles.rag_manager.tuning import Asked, tuned

DOCUMENTS = {f"d{n}": f"id{n}" for n in range(5)}


def asked(number: int, by: str, right: int = 0) -> Asked:
    """A question whose answer is first by meaning or by words, and last by the other."""
    rising = {f"d{n}": float(n + 1) for n in range(5)}
    falling = {f"d{n}": float(5 - n) for n in range(5)}
    dense, lexical = (falling, rising) if by == "meaning" else (rising, falling)
    rows = [
        {
            "id": f"c{name}",
            "document_id": DOCUMENTS[name],
            "dense_score": dense[name],
            "lexical_score": lexical[name],
        }
        for name in DOCUMENTS
    ]
    question = Question(f"some plain question of mine {number}", (f"d{right}",))
    return Asked(question, {"candidates": rows, "known": True, "fusion_alpha": 0.7})


def test_words_that_know_better_get_the_weight() -> None:
    found = tuned([asked(n, "words") for n in range(60)], DOCUMENTS, 0.7)
    assert found.best < 0.5
    assert found.held_out[1] > found.held_out[0]
    assert found.proven
    assert sum(found.questions) == 60


def test_what_is_best_already_stays() -> None:
    found = tuned([asked(n, "meaning") for n in range(60)], DOCUMENTS, 0.7)
    assert (found.best, found.proven) == (0.7, False)


def test_chance_is_no_proof() -> None:
    mixed = [asked(n, "words" if n % 2 else "meaning", right=n % 5) for n in range(40)]
    found = tuned(mixed, DOCUMENTS, 0.5)
    assert not found.proven or found.held_out[1] - found.held_out[0] >= found.error


def test_too_few_say_nothing() -> None:
    with pytest.raises(InvalidRequest, match="20 questions or more; there are 3"):
        tuned([asked(n, "words") for n in range(3)], DOCUMENTS, 0.7)
