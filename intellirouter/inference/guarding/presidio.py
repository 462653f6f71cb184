"""Microsoft Presidio's analyzer: `POST {url}/analyze` with a text and its language, and what stands where in it.

The answer is `[{"entity_type", "start", "end", "score"}, …]`, with offsets in code points of the text (microsoft.github.io/presidio,
Analyzer API). All texts of a request are one text there, so that it is asked once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from intellirouter.config.schema.guards import GuardSection
from intellirouter.errors import UpstreamProtocolError
from intellirouter.guards.finding import Finding
from intellirouter.inference.guarding.verdict import Verdict

MAX_CHARACTERS = 1_000_000
"""As many as the language models behind it take."""
MAX_FOUND = 2_000
"""Things that one answer may hold."""
_BETWEEN = "\n\n"
_LONGEST_NAME = 64
_MOST_KINDS = 64


class _Entity(msgspec.Struct):
    entity_type: str
    start: int
    end: int
    score: float


def question(section: GuardSection, texts: Sequence[str]) -> bytes:
    """The body."""
    asked: dict[str, Any] = {
        # half of a surrogate pair becomes one sign, so that places stay where they are
        "text": _BETWEEN.join(texts).encode("utf-8", "replace").decode(),
        "language": section.language,
    }
    if section.entities:
        asked["entities"] = list(section.entities)
    if section.threshold is not None:
        asked["score_threshold"] = section.threshold
    return msgspec.json.encode(asked)


def verdict(section: GuardSection, body: bytes, texts: Sequence[str]) -> Verdict:
    """What the answer says stands in these texts. Raises `UpstreamProtocolError` where it is no such list, or of places that are not there."""
    try:
        entities = msgspec.json.decode(body, type=list[_Entity])
    except (msgspec.DecodeError, RecursionError) as cause:
        raise UpstreamProtocolError("the analyzer sent no list of what it found") from cause
    if len(entities) > MAX_FOUND:
        raise UpstreamProtocolError(f"the analyzer found more than {MAX_FOUND:,} things")
    length = sum(map(len, texts)) + len(_BETWEEN) * (len(texts) - 1)
    wanted = set(section.entities)
    kept: list[_Entity] = []
    for one in entities:
        if not 0 <= one.start < one.end <= length:
            raise UpstreamProtocolError("the analyzer names places that are not in the text")
        if not 0 <= one.score <= 1 or not _is_name(one.entity_type):
            raise UpstreamProtocolError("the analyzer found something without a name or a score")
        if (not wanted or one.entity_type in wanted) and one.score >= (section.threshold or 0):
            kept.append(one)
    if len({one.entity_type for one in kept}) > _MOST_KINDS:
        raise UpstreamProtocolError(f"the analyzer found things of more than {_MOST_KINDS} kinds")
    found = _by_text(_apart(kept), texts)
    kinds = tuple(one.kind for some in found.values() for one in some)
    return Verdict(blocked=bool(found), kinds=kinds, places=found)


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and text.isascii() and text.isidentifier()


def _apart(entities: list[_Entity]) -> list[Finding]:
    """In order, and those that overlap made one, of the kind that is surest and then longest: an e-mail address holds an address of the web."""
    kept: list[Finding] = []
    surest = (0.0, 0)
    for one in sorted(entities, key=lambda one: (one.start, one.end)):
        sure = (one.score, one.end - one.start)
        kind = one.entity_type.lower()
        if kept and one.start < kept[-1].end:
            last = kept[-1]
            kept[-1] = Finding(last.start, max(last.end, one.end), kind if sure > surest else last.kind)
            surest = max(surest, sure)
        else:
            kept.append(Finding(one.start, one.end, kind))
            surest = sure
    return kept


def _by_text(found: list[Finding], texts: Sequence[str]) -> dict[int, list[Finding]]:
    """By the number of the text. What reaches over the end of one is found in each that it touches."""
    placed: dict[int, list[Finding]] = {}
    start = first = 0
    for number, text in enumerate(texts):
        end = start + len(text)
        while first < len(found) and found[first].end <= start:
            first += 1
        for one in found[first:]:
            if one.start >= end:
                break
            here = Finding(max(one.start, start) - start, min(one.end, end) - start, one.kind)
            placed.setdefault(number, []).append(here)
        start = end + len(_BETWEEN)
    return placed
