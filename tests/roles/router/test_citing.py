"""Where an answer cites which of the passages it was given."""

from __future__ import annotations

import pytest

from intellirouter.peers.contract import Passage
from intellirouter.roles.router.pipeline.citing import citations

TWO = tuple(Passage(f"p{n}", "…", 0.5, f"d{n}", "kb", title=f"{n}.txt") for n in (1, 2))


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("Größe 🙂🙂 ist [2] und [1].", [("2.txt", 13), ("1.txt", 21)]),
        ("Both [1, 2]. Again [1].", [("1.txt", 5), ("2.txt", 5), ("1.txt", 19)]),
        ("Only [2], not [7] or [0].", [("2.txt", 5)]),
        ("It cites nothing.", [("1.txt", 17), ("2.txt", 17)]),
        ("", [("1.txt", 0), ("2.txt", 0)]),
        ("A list x[10] is none.", [("1.txt", 21), ("2.txt", 21)]),
    ],
)
def test_a_citation_has_the_place_in_the_text_that_cites(text: str, cited: list[tuple[str, int]]) -> None:
    assert [(note["filename"], note["index"]) for note in citations(TWO, text)] == cited


def test_no_passages_no_citations() -> None:
    assert citations((), "See [1].") == ()
