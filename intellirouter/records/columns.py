"""The columns that both stores have, and the way between a row and a line of a table."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from intellirouter.records.row import Detail, Row, seconds_bucket, usd_bucket

PLAIN = (
    "id", "ended", "seconds", "first_token", "request_id", "session", "trace_id", "role", "node", "method", "path",
    "endpoint", "dialect", "stream", "status", "error", "message", "key", "team", "tenant", "user", "model",
    "served_model", "provider", "strategy", "cache", "persona", "chain_run", "input_tokens", "output_tokens",
    "cached_tokens", "written_tokens", "reasoning_tokens", "cost_usd", "dearest_usd", "user_agent", "client",
)  # fmt: skip
MADE = ("tags", "collections", "detail", "latency_bucket", "first_bucket", "cost_bucket")
COLUMNS = (*PLAIN, *MADE)
READ = (*PLAIN, "tags", "collections", "detail", "feedback")
"""What a question reads."""

_plain = attrgetter(*PLAIN)
_encode = msgspec.json.Encoder().encode
_detail = msgspec.json.Decoder(Detail).decode
_names = msgspec.json.Decoder(tuple[str, ...]).decode
_EMPTY = Detail()
_COUNT = len(PLAIN)


def quoted(names: Sequence[str], prefix: str = "") -> str:
    """Names as SQL reads them: `user` and `key` are words of its own."""
    return ", ".join(f'{prefix}"{name}"' for name in names)


def values(row: Row) -> tuple[Any, ...]:
    """The line of a row, in the order of `COLUMNS`."""
    return (
        *_plain(row),
        _encode(row.tags).decode() if row.tags else None,
        _encode(row.collections).decode() if row.collections else None,
        None if row.detail == _EMPTY else _encode(row.detail).decode(),
        seconds_bucket(row.seconds),
        seconds_bucket(row.first_token),
        usd_bucket(row.cost_usd),
    )


def row_of(line: Sequence[Any], asked: str | None = None, answered: str | None = None) -> Row:
    """The row of a line, in the order of `READ`."""
    tags, collections, detail, feedback = line[_COUNT:]
    row = Row(
        **dict(zip(PLAIN, line, strict=False)),
        tags=_names(tags) if tags else (),
        collections=_names(collections) if collections else (),
        detail=_detail(detail) if detail else Detail(),
        feedback=msgspec.json.decode(feedback) if feedback else None,
        asked=asked,
        answered=answered,
    )
    row.stream = bool(row.stream)
    return row
