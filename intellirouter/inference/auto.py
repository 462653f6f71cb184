"""`auto`: every model that chats, as one group from which the request decides. `auto/cheap`, `auto/best`, `auto/fast` lean.

Two to ten targets are plenty: of a vendor's long list stay those that no other of the same vendor beats in every respect
that is published, and of these a spread over the prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from intellirouter.config.schema.model_registry import LearningSection
from intellirouter.inference.catalog_entries import Candidate, ModelEntry

AUTO = "auto"
MAX_TARGETS = 10
LEANINGS = {
    AUTO: LearningSection(),
    f"{AUTO}/cheap": LearningSection(cost_weight=1.0, quality_floor=0.6),
    f"{AUTO}/best": LearningSection(cost_weight=0.0),
    f"{AUTO}/fast": LearningSection(cost_weight=0.2, latency_weight=1.0),
}
_NOT_FOR_CHAT = (
    "embed", "whisper", "tts", "dall-e", "image", "moderation", "realtime", "transcribe", "audio", "rerank", "ocr",
    "sora", "veo", "imagen", "speech", "davinci", "babbage", "instruct", "search", "guard", "computer-use",
)  # fmt: skip
"""In the name of a model that is listed beside those that chat, of which nothing is published."""


def auto_entry(name: str, members: Sequence[ModelEntry], first: ModelEntry) -> ModelEntry:
    """The group `name` of `members`. `first` is the model that `auto` means where nothing is to be decided."""
    candidates: dict[str, Candidate] = {}
    for member in members:
        for candidate in member.candidates:
            window = candidate.context_window or member.context_window
            candidates.setdefault(candidate.id, replace(candidate, context_window=window))
    return ModelEntry(
        name=name,
        candidates=tuple(candidates.values())[:MAX_TARGETS],
        strategy="learned",
        learning=LEANINGS[name],
        plain=first,
        members=tuple(members),
        capabilities=frozenset.intersection(*(member.capabilities for member in members)),
    )


def members_of(configured: Iterable[ModelEntry], listed: Iterable[ModelEntry]) -> list[ModelEntry]:
    """Who takes part: what the operator configured; where that is nothing, what the providers list."""
    own = [entry for entry in configured if entry.candidates and chats(entry)]
    if own:
        return own[:MAX_TARGETS]
    found = {entry.name: entry for entry in listed if entry.candidates and chats(entry)}
    return spread(undominated([entry for entry in found.values() if not _retired(entry)]))


def chats(entry: ModelEntry) -> bool:
    """Whether this is a model to talk with, as far as is known."""
    if "embedding" in entry.capabilities:
        return False
    if entry.price is not None and entry.capabilities:
        return True
    model = entry.candidates[0].target.model.lower() if entry.candidates else entry.name.lower()
    return not any(word in model for word in _NOT_FOR_CHAT)


def undominated(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """Without those of which the same vendor has one that costs no more and does as much, and something better."""
    return [entry for entry in entries if not any(_beats(other, entry) for other in entries)]


def _beats(one: ModelEntry, other: ModelEntry) -> bool:
    if one is other or one.owner != other.owner or one.price is None or other.price is None:
        return False
    ours = (-_dear(one), one.context_window or 0, one.max_output_tokens or 0)
    theirs = (-_dear(other), other.context_window or 0, other.max_output_tokens or 0)
    if not one.capabilities >= other.capabilities or any(a < b for a, b in zip(ours, theirs, strict=True)):
        return False
    if ours != theirs or one.capabilities != other.capabilities:
        return True
    return (len(one.name), one.name) < (len(other.name), other.name)  # the same under a dated name


def spread(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """At most ten: the first that has no price, and evenly by price the others, in the order they came."""
    if len(entries) <= MAX_TARGETS:
        return list(entries)
    priced = sorted((entry for entry in entries if entry.price is not None), key=_dear)
    unpriced = [entry for entry in entries if entry.price is None][: MAX_TARGETS if not priced else 3]
    room = MAX_TARGETS - len(unpriced)
    step = (len(priced) - 1) / max(1, room - 1)
    kept = {priced[round(place * step)].name for place in range(room)} if priced else set()
    kept |= {entry.name for entry in unpriced}
    return [entry for entry in entries if entry.name in kept]


def _dear(entry: ModelEntry) -> float:
    return entry.price.input + entry.price.output if entry.price is not None else 0.0


def _retired(entry: ModelEntry) -> bool:
    return entry.retires is not None and entry.retires <= datetime.now(UTC).date().isoformat()
