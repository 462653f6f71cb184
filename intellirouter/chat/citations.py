"""Citations of web pages between dialects that cite differently.

OpenAI marks a span of the text (`url_citation`), Anthropic hangs the page on a block of text of its own, Gemini lists
pages and the spans they support. Canonically a part keeps its `annotations` (OpenAI's form, places in characters of
that part) and its `citations` (Anthropic's); an answer that goes to another dialect is given the form it came without.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.delta import AnnotationDelta, Delta, Finish, TextDelta
from intellirouter.chat.fields import Json
from intellirouter.chat.parts import Part, Text
from intellirouter.chat.response import ChatResponse

MAX_CITED = 150
"""Characters of the words that a citation repeats: as many as Anthropic's ("Web search tool", `cited_text`)."""
MAX_NOTES = 1_000
"""Citations of a stream that are told in the other form too: each is looked for in all of its text."""
_UNSEALED = ""  # where Anthropic has its encrypted index, which it wants back: ours is none


def to_annotation(citation: Json, text: str) -> Json | None:
    """Anthropic's citation of a page, of all of `text`; None for one of a document."""
    url = citation.get("url")
    if not isinstance(url, str):
        return None
    cited = {"url": url, "title": citation.get("title") or url, "start_index": 0, "end_index": len(text)}
    return {"type": "url_citation", "url_citation": cited}


def to_citation(annotation: Json, text: str) -> Json | None:
    """OpenAI's citation of a page in `text`; None for one of a file."""
    cited = annotation.get("url_citation")
    if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
        return None
    start, end = cited.get("start_index") or 0, cited.get("end_index") or 0
    return {
        "type": "web_search_result_location",
        "url": cited["url"],
        "title": cited.get("title"),
        "cited_text": text[start:end][:MAX_CITED] if isinstance(start, int) and isinstance(end, int) else "",
        "encrypted_index": _UNSEALED,
    }


def is_ours(citation: object) -> bool:
    """True for a citation that Anthropic did not make: it would refuse to have it back."""
    return isinstance(citation, dict) and citation.get("encrypted_index") == _UNSEALED


def shifted(annotation: Json, by: int) -> Json:
    """The annotation where its text begins `by` characters later."""
    cited = annotation.get("url_citation")
    if not by or not isinstance(cited, dict):
        return annotation
    places = {key: cited[key] + by for key in ("start_index", "end_index") if isinstance(cited.get(key), int)}
    return {**annotation, "url_citation": {**cited, **places}}


def annotations_in(texts: list[Text]) -> list[Json]:
    """The annotations of all of them, placed in all their words."""
    notes: list[Json] = []
    begin = 0
    for part in texts:
        notes += [shifted(note, begin) for note in part.annotations]
        begin += len(part.text)
    return notes


def with_both_forms(response: ChatResponse) -> ChatResponse:
    """A whole answer whose texts have each citation in either form."""
    texts = [part for choice in response.choices for part in choice.content if isinstance(part, Text)]
    if not any(bool(part.annotations) != bool(part.citations) for part in texts):
        return response
    choices = tuple(
        msgspec.structs.replace(choice, content=tuple(map(_both, choice.content)))
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def _both(part: Part) -> Part:
    if not isinstance(part, Text) or bool(part.annotations) == bool(part.citations):
        return part
    annotations = part.annotations or tuple(
        note for citation in part.citations if (note := to_annotation(citation, part.text))
    )
    citations = part.citations or tuple(
        found for note in part.annotations if (found := to_citation(note, part.text))
    )
    return msgspec.structs.replace(part, annotations=annotations, citations=citations)


class Offsets:
    """Where each text of a stream begins in the whole of its choice, in characters."""

    def __init__(self) -> None:
        self._begins: dict[tuple[int, int], int] = {}
        self._lengths: dict[int, int] = {}

    def said(self, delta: TextDelta) -> None:
        """More text."""
        length = self._lengths.get(delta.choice, 0)
        self._begins.setdefault((delta.choice, delta.block), length)
        self._lengths[delta.choice] = length + len(delta.text)

    def begin(self, choice: int, block: int) -> int:
        """Where the text of `block` begins."""
        return self._begins.get((choice, block), 0)


class BothForms:
    """`with_both_forms` for a stream. Anthropic cites a block while it is written: its span is known when it ends."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, int], list[str]] = {}
        self._cited: dict[tuple[int, int], list[Json]] = {}
        self._notes = 0

    def restore(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        """What these deltas are to a client of any dialect."""
        return tuple(told for delta in deltas for told in self._restore(delta))

    def _restore(self, delta: Delta) -> tuple[Delta, ...]:
        match delta:
            case TextDelta():
                ended = self._ended(delta.choice, delta.block) if self._cited else ()
                self._texts.setdefault((delta.choice, delta.block), []).append(delta.text)
                return (*ended, delta)
            case AnnotationDelta(citation=dict() as citation, annotation=None):
                self._cited.setdefault((delta.choice, delta.block), []).append(citation)
                return (delta,)
            case AnnotationDelta(annotation=dict() as annotation, citation=None) if self._notes < MAX_NOTES:
                self._notes += 1
                parts = self._texts.get((delta.choice, delta.block), [])
                text = "".join(parts)
                parts[:] = [text]  # for the next one
                return (msgspec.structs.replace(delta, citation=to_citation(annotation, text)),)
            case Finish():
                return (*self._ended(delta.choice, None), delta)
            case _:
                return (delta,)

    def _ended(self, choice: int, block: int | None) -> tuple[Delta, ...]:
        """The citations of a choice's blocks but the one that goes on."""
        told: list[Delta] = []
        for place in [key for key in self._cited if key[0] == choice and key[1] != block]:
            text = "".join(self._texts.get(place, ()))
            notes = (to_annotation(citation, text) for citation in self._cited.pop(place))
            told += [AnnotationDelta(note, None, place[1], choice) for note in notes if note is not None]
        return tuple(told)
