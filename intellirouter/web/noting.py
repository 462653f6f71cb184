"""What the frame around an endpoint notes for the record, and the row that is made of it later, in the writer's thread."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from multidict import istr

from intellirouter.errors import IntelliRouterError
from intellirouter.records.named import SESSION_HEADERS, TAG_HEADERS, bounded, listed_tags
from intellirouter.records.row import Row
from intellirouter.security.caller import Caller

NODE = socket.gethostname()
MAX_MESSAGE = 2000
SIZE = 2500
"""About what one noted request holds in memory until its row is written."""


class Failure(msgspec.Struct, frozen=True):
    """An error, but not itself: its traceback holds the whole request. `attempts` and `guards` are those that its details list."""

    code: str
    message: str
    attempts: Any = None
    cost_usd: float | None = None
    guards: Any = None


class Part(Protocol):
    """What a role knows of a request beyond the frame. Touched by the request first and by the writer's thread after it."""

    size: int

    def close(self) -> None:
        """The request is over: keep what the row needs, and let go of all that the request was made of."""

    def fill(self, row: Row) -> None:
        """Write into the row what is known. In the writer's thread."""


class Said(msgspec.Struct, gc=False):
    """What the record keeps of a request's headers."""

    session: str = ""
    traceparent: str | None = None
    tags: tuple[str, ...] = ()
    user_agent: str = ""


_SESSIONS = tuple(map(istr, SESSION_HEADERS))
_TAGS = tuple(map(istr, TAG_HEADERS))
_TRACEPARENT, _USER_AGENT = istr("traceparent"), istr("user-agent")


def said_in(headers: Mapping[str, str]) -> Said:
    """The headers themselves are let go: what waits to be written must not keep a request's objects alive."""
    get = headers.get
    said = Said(user_agent=get(_USER_AGENT) or "", traceparent=get(_TRACEPARENT))
    for name in _SESSIONS:
        if not said.session and (session := get(name)):
            said.session = session
    for name in _TAGS:
        if tags := get(name):
            said.tags = (*said.tags, tags)
    return said


class Seen(msgspec.Struct, gc=False):
    """A request that was answered: what is known of it, and nothing worked out.

    Nothing here leads back to it, so that the collector of cycles need not look.
    """

    ended: float
    seconds: float
    role: str
    endpoint: str
    method: str
    path: str
    request_id: str
    status: int
    caller: Caller | None
    said: Said
    client: str | None
    trace_id: str
    part: Part | None
    error: Failure | None


def error_facts(error: IntelliRouterError) -> Failure:
    """What is told of an error."""
    return Failure(
        error.code,
        error.message,
        error.details.get("attempts"),
        error.details.get("cost_usd"),
        error.details.get("guards"),
    )


def row_of(seen: Seen) -> Row:
    """The row."""
    said, caller = seen.said, seen.caller
    row = Row(
        ended=seen.ended,
        seconds=seen.seconds,
        request_id=seen.request_id,
        session=bounded(said.session),
        trace_id=seen.trace_id or _trace_id(said.traceparent),
        role=seen.role,
        node=NODE,
        method=seen.method,
        path=bounded(seen.path),
        endpoint=seen.endpoint,
        status=seen.status,
        tags=listed_tags(said.tags) if said.tags else (),
        user_agent=bounded(said.user_agent),
        client=seen.client or "",
    )
    if caller is not None:
        row.key, row.tenant, row.team = caller.key_id, caller.tenant, caller.team or ""
    if seen.error is not None:
        row.error, row.message = seen.error.code, seen.error.message[:MAX_MESSAGE]
        row.cost_usd = seen.error.cost_usd
        if isinstance(seen.error.guards, list):
            row.detail.guards = seen.error.guards
        if isinstance(seen.error.attempts, list):
            row.detail.attempts = seen.error.attempts
    elif seen.status == 499:
        row.error, row.message = (
            "client_closed_request",
            "The client went away before the answer was complete.",
        )
    if seen.part is not None:
        seen.part.fill(row)
    return row


def _trace_id(traceparent: str | None) -> str:
    parts = traceparent.split("-") if traceparent else ()
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""


class RunPart(msgspec.Struct):
    """See `Part`. A request that is about a run of a chain."""

    run_id: str
    size: int = 0

    def close(self) -> None:
        """See `Part.close`."""

    def fill(self, row: Row) -> None:
        """See `Part.fill`."""
        row.chain_run = bounded(self.run_id)
