"""Which candidates become passages, and how neighbours are joined."""

from __future__ import annotations

import pytest

from intellirouter.peers.contract import RetrievalRequest
from intellirouter.roles.rag_manager.catalog import ChunkRow
from intellirouter.roles.rag_manager.choosing import Found, choose


def found(document: str, position: int, text: str, location: str = "", dense: float = 0.5) -> Found:
    row = ChunkRow(f"{document}{position}", document, position, "", location, text)
    return Found("docs", row, 1.0, dense, None)


ONE, TWO, THREE = (
    found("a", 0, "One. Two."),
    found("a", 1, "Two. Three."),
    found("a", 2, "Three. Four."),
)


def edition(number: str, document: str = "b") -> Found:
    words = " ".join(f"word{n}" for n in range(60))
    return found(document, 7, f"The manual, {number}. {words}")


PAGE = edition("1st", "a")


@pytest.mark.parametrize(
    ("ranked", "request_fields", "texts", "outcomes"),
    [
        ([ONE, TWO], {}, ["One. Two. Three."], ["chosen", "joined to a neighbour"]),
        ([TWO, ONE], {}, ["One. Two. Three."], ["chosen", "joined to a neighbour"]),
        ([ONE, THREE, TWO], {}, ["One. Two. Three. Four."], ["chosen", "chosen", "joined to a neighbour"]),
        ([ONE, found("a", 1, "Apart.")], {}, ["One. Two.\nApart."], ["chosen", "joined to a neighbour"]),
        ([ONE, found("a", 1, "Two.", "B")], {}, ["One. Two.", "Two."], ["chosen", "chosen"]),
        ([ONE, found("b", 1, "Two.")], {}, ["One. Two.", "Two."], ["chosen", "chosen"]),
        ([ONE, found("b", 5, "one.  TWO.")], {}, ["One. Two."], ["chosen", "same text as a better one"]),
        ([PAGE, edition("2nd", "b")], {}, [PAGE.chunk.text], ["chosen", "nearly the text of a better one"]),
        ([PAGE, edition("2nd", "a")], {}, [PAGE.chunk.text, edition("2nd").chunk.text], ["chosen", "chosen"]),
        ([PAGE, edition("2nd edition, with a chapter more", "b")], {}, [PAGE.chunk.text, edition("2nd edition, with a chapter more").chunk.text], ["chosen", "chosen"]),
        ([ONE, found("b", 5, "Far.", dense=0.1)], {"min_score": 0.3}, ["One. Two."], ["chosen", "below min_score"]),
        ([found("a", n, f"Text {n}.") for n in (0, 2, 4, 6)], {}, ["Text 0.", "Text 2.", "Text 4."], [*["chosen"] * 3, "max_chunks_per_document reached"]),
        ([ONE, found("b", 5, "Far away.")], {"token_budget": 4}, ["One. Two."], ["chosen", "over the token budget"]),
        ([ONE, found("b", 5, "Far.")], {"top_k": 1}, ["One. Two."], ["chosen", "not reached"]),
    ],
)  # fmt: skip
def test_choice(
    ranked: list[Found], request_fields: dict[str, float], texts: list[str], outcomes: list[str]
) -> None:
    for item in ranked:
        item.outcome = "not reached"
    passages = choose(RetrievalRequest("q", ("docs",), **request_fields), ranked, 3)  # type: ignore[arg-type]
    assert [passage.text for passage in passages] == texts
    assert [item.outcome for item in ranked] == outcomes
    assert passages[0].id == ranked[0].chunk.id
