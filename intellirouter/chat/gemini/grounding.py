"""What Gemini's answers rest on: its pages and the spans they support, to and from citations.

Source: Gemini API reference, "GroundingMetadata". A segment's places count bytes of UTF-8.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from itertools import islice
from typing import Any

from intellirouter.chat.fields import Json

FIELD = "groundingMetadata"
MAX_NOTES = 1_000
"""Spans and pages of an answer; each is looked for in all of its text."""
MAX_TEXT = 1_000_000
"""Characters of an answer in which they are looked for."""


def annotations_of(metadata: Any, text: str) -> tuple[Json, ...]:
    """The pages as `url_citation`s of `text`; a page that supports no span in particular stands for all of it."""
    if len(text) > MAX_TEXT:
        return ()
    chunks = metadata.get("groundingChunks") if isinstance(metadata, dict) else None
    pages = [_page(chunk) for chunk in chunks[:MAX_NOTES]] if isinstance(chunks, list) else []
    supports = metadata.get("groundingSupports") if isinstance(metadata, dict) else None
    notes: list[Json] = []
    cited: set[int] = set()
    given = supports[:MAX_NOTES] if isinstance(supports, list) else []
    spans = [(support, _span(support.get("segment"))) for support in given if isinstance(support, dict)]
    at = _in_characters(text.encode(), {place for _, span in spans if span is not None for place in span})
    for support, span in spans:
        start, end = (0, len(text)) if span is None else (at[span[0]], at[span[1]])
        indices = support.get("groundingChunkIndices")
        for index in indices[:MAX_NOTES] if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(pages) and (page := pages[index]):
                cited.add(index)
                notes.append(_note(page, start, end))
    rest = (page for index, page in enumerate(pages) if page and index not in cited)
    return (*notes, *(_note(page, 0, len(text)) for page in rest))


def _page(chunk: Any) -> Json | None:
    kinds = ("web", "retrievedContext", "maps")
    page = (
        next((chunk[kind] for kind in kinds if isinstance(chunk.get(kind), dict)), None)
        if isinstance(chunk, dict)
        else None
    )
    return page if page and isinstance(page.get("uri"), str) else None


def _span(segment: Any) -> tuple[int, int] | None:
    """Where a segment begins and ends, in bytes; None where it does not say so."""
    segment = segment if isinstance(segment, dict) else {}
    start, end = segment.get("startIndex") or 0, segment.get("endIndex")
    return (start, end) if isinstance(start, int) and isinstance(end, int) and min(start, end) >= 0 else None


def _in_characters(raw: bytes, places: Iterable[int]) -> dict[int, int]:
    """Places in bytes of UTF-8, counted in characters; in one look at them."""
    found: dict[int, int] = {}
    decoder, before, count = codecs.getincrementaldecoder("utf-8")(), 0, 0
    for place in sorted(places):
        count += len(decoder.decode(raw[before:place]))
        before = place
        found[place] = count
    return found


def _note(page: Json, start: int, end: int) -> Json:
    cited = {
        "url": page["uri"],
        "title": page.get("title") or page["uri"],
        "start_index": start,
        "end_index": end,
    }
    return {"type": "url_citation", "url_citation": cited}


def metadata_of(annotations: Iterable[Json], text: str) -> Json | None:
    """Citations of `text` as Gemini's pages and spans; None without any."""
    if len(text) > MAX_TEXT:
        return None
    pages: dict[str, Json] = {}
    places: dict[str, int] = {}
    spans: dict[tuple[int, int], list[int]] = {}
    for note in islice(annotations, MAX_NOTES):
        cited = note.get("url_citation")
        if not isinstance(cited, dict) or not isinstance(url := cited.get("url"), str):
            continue
        places.setdefault(url, len(places))
        pages.setdefault(url, {"web": {"uri": url, "title": cited.get("title") or url}})
        start, end = cited.get("start_index"), cited.get("end_index")
        if isinstance(start, int) and isinstance(end, int) and 0 <= start <= end:
            spans.setdefault((start, end), []).append(places[url])
    if not pages:
        return None
    at = _in_bytes(text, {place for span in spans for place in span})
    supports: list[Json] = []
    room = MAX_TEXT
    for (start, end), indices in spans.items():
        segment: Json = {"startIndex": at[start], "endIndex": at[end]}
        if end - start <= room:  # what spans repeat of the text together is no more than it may hold
            room -= max(0, end - start)
            segment["text"] = text[start:end]
        supports.append({"segment": segment, "groundingChunkIndices": indices})
    return {"groundingChunks": list(pages.values()), "groundingSupports": supports}


def _in_bytes(text: str, places: Iterable[int]) -> dict[int, int]:
    """Places in the text, counted in bytes of UTF-8; in one look at it."""
    found: dict[int, int] = {}
    before = count = 0
    for place in sorted(places):
        count += len(text[before:place].encode())
        before = place
        found[place] = count
    return found
