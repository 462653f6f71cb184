"""Citations of pages from one dialect to another."""

from __future__ import annotations

import pytest

from intellirouter.chat.citations import is_ours, shifted, to_annotation, to_citation

PAGE = "https://example.org/coal"


@pytest.mark.parametrize(
    ("citation", "cited"),
    [
        ({"url": PAGE, "title": "Coal"}, {"url": PAGE, "title": "Coal", "start_index": 0, "end_index": 14}),
        ({"url": PAGE}, {"url": PAGE, "title": PAGE, "start_index": 0, "end_index": 14}),
        ({"document_index": 0, "cited_text": "black"}, None),
        ({"url": 7}, None),
    ],
)
def test_an_anthropic_citation_marks_all_of_its_text(citation: dict[str, object], cited: object) -> None:
    made = to_annotation(citation, "Coal is black.")
    assert made == (None if cited is None else {"type": "url_citation", "url_citation": cited})


@pytest.mark.parametrize(
    ("cited", "words"),
    [
        ({"url": PAGE, "start_index": 8, "end_index": 13}, "black"),
        ({"url": PAGE}, ""),
        ({"url": PAGE, "start_index": "8", "end_index": "13"}, ""),
        ({"file_id": "f"}, None),
        ("black", None),
    ],
)
def test_an_openai_annotation_carries_the_words_it_marks(cited: object, words: str | None) -> None:
    made = to_citation({"type": "url_citation", "url_citation": cited}, "Coal is black.")
    assert (made and made["cited_text"]) == words
    assert words is None or is_ours(made)


def test_an_annotation_moves_with_its_text_and_stays_what_it_was() -> None:
    note = {"type": "url_citation", "url_citation": {"url": PAGE, "start_index": 1, "end_index": 3}}
    assert shifted(note, 4)["url_citation"] == {"url": PAGE, "start_index": 5, "end_index": 7}
    assert note["url_citation"] == {"url": PAGE, "start_index": 1, "end_index": 3}
    assert shifted({"type": "file_citation", "index": 3}, 4) == {"type": "file_citation", "index": 3}
