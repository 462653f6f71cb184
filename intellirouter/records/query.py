"""What can be asked of the record, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from intellirouter.records.row import Row

MAX_PAGE = 1000
By = Literal[
    "model", "provider", "key", "team", "user", "tag", "session", "tenant", "role", "endpoint", "day", "hour"
]
BY: tuple[By, ...] = get_args(By)
MAX_GROUPS = 10_000
"""Groups of a usage report that are returned, the dearest first."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows. Everything given must hold; None and empty ask for nothing.

    `tenant` is whose rows may be seen at all, None for everybody's. `since` and `until` are Unix seconds of the requests' ends,
    `until` excluded. `status` is a number (`404`), a class (`4xx`), `ok` (below 400) or `failed`. `text` is words, all of which
    must stand in the content or the error's message. `asked_a_model` leaves out what asked none: administration, documents, …
    """

    tenant: str | None = None
    since: float | None = None
    until: float | None = None
    status: str | None = None
    model: str | None = None
    served_model: str | None = None
    provider: str | None = None
    key: str | None = None
    team: str | None = None
    user: str | None = None
    tag: str | None = None
    session: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    chain_run: str | None = None
    role: str | None = None
    endpoint: str | None = None
    error: str | None = None
    cache: str | None = None
    persona: str | None = None
    min_cost: float | None = None
    min_latency: float | None = None
    text: str | None = None
    asked_a_model: bool = False


EQUAL = (
    "model", "served_model", "provider", "key", "team", "user", "session", "request_id", "trace_id",
    "chain_run", "role", "endpoint", "error", "cache", "persona",
)  # fmt: skip
"""The filters that are a plain comparison with the column of their name."""


class Page(msgspec.Struct):
    """Rows, newest first, and where the next page starts (`before`), None at the end.

    A page that looked for long ends short, with where to look on.
    """

    rows: list[Row]
    before: int | None = None


class Usage(msgspec.Struct, kw_only=True):
    """What one group used. Percentiles are in seconds, None where nothing was measured.

    `score` is the mean, from 0 to 1, of what feedback said of `rated` answers.
    """

    name: str
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    dearest_usd: float = 0.0
    saved_usd: float = 0.0
    cache_hits: int = 0
    rated: int = 0
    score: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    first_token_p50: float | None = None
    first_token_p95: float | None = None


class Size(msgspec.Struct):
    """How much is kept: rows (of a large table an estimate), bytes on disk, and when the oldest row ended."""

    rows: int
    bytes: int
    oldest: float | None = None


def score_of(feedback: Mapping[str, Any]) -> float | None:
    """What feedback says of an answer, from 0 to 1: its `score`, or its `rating` from -1 to 1; None when it says neither."""
    score, rating = feedback.get("score"), feedback.get("rating")
    if isinstance(score, (bool, int, float)):
        return min(1.0, max(0.0, float(score)))
    if isinstance(rating, (int, float)):
        return min(1.0, max(0.0, (float(rating) + 1) / 2))
    return None


def group_name(by: By, group: object) -> str:
    """A group as it is called: a day `2026-11-20`, an hour `2026-11-20T14:00`, of the asker's zone."""
    if by not in ("day", "hour") or not isinstance(group, int):
        return str(group)
    if by == "day":
        return f"{datetime.fromtimestamp(group * 86_400, UTC):%Y-%m-%d}"
    return f"{datetime.fromtimestamp(group * 3600, UTC):%Y-%m-%dT%H:00}"
