"""What the frame around an endpoint notes for the record, and the row that is made of it later, in the writer's thread."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from intellirouter.records.row import Row
from intellirouter.security.caller import Caller

NODE = socket.gethostname()
MAX_NAME, MAX_MESSAGE, MAX_TAGS, MAX_TAG = 256, 2000, 32, 128
SIZE = 2500
"""About what one noted request holds in memory until its row is written."""


class Part(Protocol):
    """What a role knows of a request beyond the frame. Touched by the request first and by the writer's thread after it."""

    size: int

    def fill(self, row: Row) -> None:
        """Write into the row what is known. In the writer's thread."""


class Seen(msgspec.Struct):
    """A request that was answered. Objects that exist anyway, and nothing worked out."""

    ended: float
    seconds: float
    role: str
    endpoint: str
    method: str
    path: str
    request_id: str
    status: int
    caller: Caller | None
    headers: Mapping[str, str]
    client: str | None
    trace_id: str
    part: Part | None
    error: tuple[str, str, Any] | None


def error_facts(error: Any) -> tuple[str, str, Any]:
    """Code, message and attempts of an error: not the error, whose traceback holds the whole request."""
    return error.code, error.message, error.details.get("attempts")


def row_of(seen: Seen) -> Row:
    """The row."""
    headers, caller = seen.headers, seen.caller
    row = Row(
        ended=seen.ended,
        seconds=seen.seconds,
        request_id=seen.request_id,
        session=bounded(headers.get("x-session-id") or headers.get("x-litellm-session-id") or ""),
        trace_id=seen.trace_id or _trace_id(headers.get("traceparent")),
        role=seen.role,
        node=NODE,
        method=seen.method,
        path=bounded(seen.path),
        endpoint=seen.endpoint,
        status=seen.status,
        tags=tags_of(headers.get("x-litellm-tags"), headers.get("x-intellirouter-tags")),
        user_agent=bounded(headers.get("user-agent") or ""),
        client=seen.client or "",
    )
    if caller is not None:
        row.key, row.tenant, row.team = caller.key_id, caller.tenant, caller.team or ""
    if seen.error is not None:
        row.error, message, attempts = seen.error
        row.message = message[:MAX_MESSAGE]
        if isinstance(attempts, list):
            row.detail.attempts = attempts
    elif seen.status == 499:
        row.error, row.message = (
            "client_closed_request",
            "The client went away before the answer was complete.",
        )
    if seen.part is not None:
        seen.part.fill(row)
    return row


def bounded(text: str, most: int = MAX_NAME) -> str:
    """A stranger's word as the record takes it: without control characters, and not too long."""
    text = text[:most]
    return text if text.isprintable() else "".join(letter for letter in text if letter.isprintable())


def tags_of(*lists: str | None) -> tuple[str, ...]:
    """The tags of comma-separated headers, each once."""
    found = [
        bounded(tag.strip(), MAX_TAG) for some in lists if some for tag in some.split(",") if tag.strip()
    ]
    return tuple(dict.fromkeys(found))[:MAX_TAGS]


def _trace_id(traceparent: str | None) -> str:
    parts = traceparent.split("-") if traceparent else ()
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
