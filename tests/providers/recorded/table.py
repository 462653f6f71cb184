"""What is claimed of the recordings and what is not, as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.providers.recorded.rows import Row

# Endpoints no adapter speaks to, by a piece of their path, and why.
_WHY: tuple[tuple[str, str], ...] = (
    ("cohere", "no adapter for this vendor"),
    ("/assistants", "state at OpenAI, not an answer of a model"),
    ("/threads", "state at OpenAI, not an answer of a model"),
    ("/conversations", "state at OpenAI, not an answer of a model"),
    ("/responses/compact", "state at OpenAI, not an answer of a model"),
    ("/files", "a store of files"),
    ("/upload", "a store of files"),
    ("/fileSearchStores", "a store of files"),
    ("/cachedContents", "state at Google, not an answer of a model"),
    ("/realtime", "a session over WebRTC"),
    ("/audio", "speech to text"),
    ("/images", "pictures from text"),
    ("/v1/complete", "Anthropic's API before Messages"),
    ("huggingface /", "text-generation-inference's own API, which the router of Hugging Face replaced"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One endpoint of one provider."""

    provider: str
    endpoint: str
    kind: str
    claimed: int
    streams: int
    errors: int
    unclaimed: int
    reason: str


def tallied(every: Iterable[Row]) -> list[Line]:
    """The rows by endpoint."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for row in every:
        key = (row.provider, row.endpoint, row.claim.kind if row.claim else "")
        found = counts.setdefault(key, Counter())
        found["claimed" if row.claim else "unclaimed"] += 1
        found["streams"] += row.claim is not None and row.stream and row.status < 400
        found["errors"] += row.claim is not None and row.status >= 400
    return [
        Line(
            *key,
            found["claimed"],
            found["streams"],
            found["errors"],
            found["unclaimed"],
            "" if key[2] else _why(f"{key[0]} {key[1]}"),
        )
        for key, found in sorted(counts.items())
    ]


def _why(name: str) -> str:
    return next((why for piece, why in _WHY if piece in name), "")


def shown(tally: list[Line], checked: Counter[tuple[str, str, str]] | None = None) -> str:
    """A line an endpoint, and the sums."""
    lines = [f"{'provider':<12}{'endpoint':<56}{'adapter':<20}{'claimed':>8}{'streams':>8}{'errors':>7}"]
    if checked is not None:
        lines[0] += f"{'held':>7}"
    for one in tally:
        line = f"{one.provider:<12}{one.endpoint:<56}{one.kind:<20}{one.claimed:>8}{one.streams:>8}{one.errors:>7}"
        if checked is not None and one.claimed:
            line += f"{checked[one.provider, one.endpoint, one.kind]:>7}"
        lines.append(line if one.claimed else f"{line}  {one.unclaimed} not claimed: {one.reason}")
    claimed, unclaimed = sum(one.claimed for one in tally), sum(one.unclaimed for one in tally)
    lines.append(f"{claimed} of {claimed + unclaimed} rows claimed")
    if checked is not None:
        lines[-1] += f", {checked.total()} understood as the vendor sent them"
    return "\n".join(lines)
