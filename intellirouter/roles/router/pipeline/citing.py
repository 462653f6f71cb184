"""Passages that an answer cites, as OpenAI's `file_citation` annotations."""

from __future__ import annotations

import re
from itertools import islice

from intellirouter.chat.fields import Json
from intellirouter.peers.contract import Passage

MOST = 1_000
"""Annotations of one answer."""
_CITED = re.compile(r"\[(\d{1,3}(?: ?[,;] ?\d{1,3}){0,20})\]")


def citations(passages: tuple[Passage, ...], text: str) -> tuple[Json, ...]:
    """The passages in the order in which the text cites them, as `[1]` or `[1, 2]`; `index` is where, in characters.

    A text that cites none is taken to rest on all of them: then they stand at its end.
    """
    if not passages:
        return ()
    cited = (
        (found.start(), int(number))
        for found in _CITED.finditer(text)
        for number in found[1].replace(";", ",").split(",")
        if 0 < int(number) <= len(passages)
    )
    places = list(islice(cited, MOST)) or [(len(text), number) for number in range(1, len(passages) + 1)]
    return tuple(_note(passages[number - 1], number, index) for index, number in places)


def _note(passage: Passage, number: int, index: int) -> Json:
    return {
        "type": "file_citation",
        "index": index,
        "number": number,
        "file_id": passage.metadata.get("file_id", passage.document_id),
        "filename": passage.metadata.get("filename") or passage.title or passage.document_id,
        "collection": passage.collection,
        "location": passage.location,
        "score": round(passage.score, 6),
    }
