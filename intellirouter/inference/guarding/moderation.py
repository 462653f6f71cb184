"""A moderation endpoint in OpenAI's form: `POST {url}/moderations` with texts, and for each what categories it falls into.

An answer is `{"results": [{"flagged", "categories": {name: bool}, "category_scores": {name: 0 to 1}}]}`, one for each text, in their
order (platform.openai.com, Moderations; Mistral's leaves out `flagged`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from intellirouter.config.schema.guards import GuardSection
from intellirouter.errors import UpstreamProtocolError
from intellirouter.inference.guarding.verdict import Verdict, named, told

FLAGGED = "flagged"
"""What is noted where a text is flagged and no category is named."""
VALUES = 100
"""JSON values that what is said of one text may hold."""


class _Result(msgspec.Struct):
    flagged: bool | None = None
    categories: dict[str, bool | None] | None = None
    category_scores: dict[str, float | None] | None = None


class _Told(msgspec.Struct):
    results: list[_Result]


def shown(texts: Sequence[str]) -> list[str]:
    """The texts that are sent: those in which something is written."""
    return [text for text in texts if text.strip()]


def question(section: GuardSection, texts: Sequence[str]) -> bytes:
    """The body."""
    model = {} if section.model is None else {"model": section.model}
    return msgspec.json.encode(
        {**model, "input": [text.encode("utf-8", "replace").decode() for text in texts]}
    )


def verdict(section: GuardSection, body: bytes, texts: int) -> Verdict:
    """What the answer says of so many texts. Raises `UpstreamProtocolError` where it does not say it of each."""
    results = told(body, _Told, (b"results",), "the moderation endpoint sent no results").results
    if len(results) != texts:
        raise UpstreamProtocolError(
            "the moderation endpoint's results are not as many as the texts it was sent"
        )
    names: set[str] = set()
    for result in results:
        if result.flagged is None and result.categories is None and result.category_scores is None:
            raise UpstreamProtocolError("the moderation endpoint says nothing of a text")
        names.update(_fallen_into(section, result))
    return Verdict(blocked=bool(names), kinds=named(names))


def _fallen_into(section: GuardSection, result: _Result) -> Iterator[str]:
    flags = {name for name, on in (result.categories or {}).items() if on}
    if result.flagged and not flags:
        yield FLAGGED
    for name, score in (result.category_scores or {}).items():
        least = section.thresholds.get(name, section.threshold)
        if least is not None and score is not None and score >= least:
            flags.add(name)
    yield from (flags & set(section.categories) if section.categories else flags)
