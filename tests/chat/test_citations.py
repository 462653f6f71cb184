"""Citations of pages from one dialect to another."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.citations import BothForms, is_ours, shifted, to_annotation, to_citation
from intellirouter.chat.delta import AnnotationDelta, Finish, TextDelta
from intellirouter.chat.gemini.grounding import annotations_of, metadata_of
from intellirouter.chat.gemini.stream import ResponseDecoder

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
        ({"url": PAGE, "start_index": 8, "end_index": 3000}, ("black." * 25)[:150]),
        ({"url": PAGE}, ""),
        ({"url": PAGE, "start_index": "8", "end_index": "13"}, ""),
        ({"file_id": "f"}, None),
        ("black", None),
    ],
)
def test_an_openai_annotation_carries_the_words_it_marks(cited: object, words: str | None) -> None:
    made = to_citation({"type": "url_citation", "url_citation": cited}, "Coal is " + "black." * 500)
    assert (made and made["cited_text"]) == words
    assert words is None or is_ours(made)


def test_an_annotation_moves_with_its_text_and_stays_what_it_was() -> None:
    note = {"type": "url_citation", "url_citation": {"url": PAGE, "start_index": 1, "end_index": 3}}
    assert shifted(note, 4)["url_citation"] == {"url": PAGE, "start_index": 5, "end_index": 7}
    assert note["url_citation"] == {"url": PAGE, "start_index": 1, "end_index": 3}
    assert shifted({"type": "file_citation", "index": 3}, 4) == {"type": "file_citation", "index": 3}


def test_a_block_of_a_stream_is_cited_in_both_forms_when_it_has_ended() -> None:
    words = (TextDelta("Coal is ", 0), TextDelta("black.", 0), TextDelta("Tar too.", 1))
    page, document = (AnnotationDelta(None, one, 0) for one in ({"url": PAGE}, {"document_index": 0}))
    end = Finish("stop")
    told = BothForms().restore((words[0], page, document, words[1], words[2], end))
    cited = {"url": PAGE, "title": PAGE, "start_index": 0, "end_index": 14}
    note = AnnotationDelta({"type": "url_citation", "url_citation": cited}, None, 0)
    assert told == (words[0], page, document, words[1], note, words[2], end)


def test_a_stream_may_tell_a_thousand_times_what_its_words_rest_on() -> None:
    stream = ResponseDecoder()
    first = {"groundingChunks": [{"web": {"uri": PAGE}}]}
    last = {"groundingChunks": [{"web": {"uri": "https://example.org/tar"}}]}
    notes = []
    for number in range(1_001):
        part = {
            "content": {"parts": [{"text": "x" if not number else ""}]},
            "groundingMetadata": first if number < 999 else last,
        }
        deltas = stream.decode("", msgspec.json.encode({"candidates": [part]}))
        notes += [
            one.annotation for one in deltas or () if isinstance(one, AnnotationDelta) and one.annotation
        ]
    assert [note["url_citation"]["url"] for note in notes] == [PAGE, "https://example.org/tar"]


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8))
def test_spans_come_back_from_gemini_as_they_were_told(text: str, places: list[tuple[int, int]]) -> None:
    spans = sorted({(start, end) for one in places if (start := min(one)) <= (end := max(one)) <= len(text)})
    notes = [
        {
            "type": "url_citation",
            "url_citation": {"url": PAGE, "title": PAGE, "start_index": start, "end_index": end},
        }
        for start, end in spans
    ]
    told = metadata_of(notes, text)
    assert (told is None) == (not notes)
    assert list(annotations_of(told, text)) == notes
    for support, (start, end) in zip(told["groundingSupports"] if told else (), spans, strict=True):
        assert support["segment"]["text"] == text[start:end]


def test_what_spans_repeat_for_gemini_is_bounded() -> None:
    text = "é" * 300_000
    notes = [
        {
            "type": "url_citation",
            "url_citation": {"url": PAGE, "start_index": 0, "end_index": len(text) - number},
        }
        for number in range(1_000)
    ]
    told = metadata_of(notes, text)
    assert told is not None
    segments = [support["segment"] for support in told["groundingSupports"]]
    assert [segment["endIndex"] for segment in segments] == [
        2 * (len(text) - number) for number in range(1_000)
    ]
    assert sum(len(segment.get("text", "")) for segment in segments) <= 1_000_000
