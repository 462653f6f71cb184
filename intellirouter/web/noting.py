"""What the frame around an endpoint notes for the record, and the row that is made of it later.

What was seen is facts, encoded within microseconds while the request ends; working them out takes as long again as answering does,
and waits until there is time for it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec
import structlog
from aiohttp import web
from multidict import istr

from intellirouter.errors import IntelliRouterError
from intellirouter.records.held import list_in
from intellirouter.records.named import SESSION_HEADERS, TAG_HEADERS, bounded, listed_tags
from intellirouter.records.recorder import Recorder
from intellirouter.records.row import Row
from intellirouter.security.caller import Caller
from intellirouter.telemetry.tracing.span import current

log = structlog.get_logger(__name__)
NODE = socket.gethostname()
MAX_MESSAGE = 2000
SIZE = 2500
"""About what one noted request holds in memory until its row is written."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An error, but not itself: its traceback holds the whole request. `attempts` and `guards` are those that its details list."""

    code: str
    message: str
    attempts: Any = None
    cost_usd: float | None = None
    guards: Any = None


class Part(Protocol):
    """What a role knows of a request beyond the frame."""

    def close(self) -> Known:
        """The request is over: what the row needs of it, without all that the request was made of."""


class Known(Protocol):
    """What a role knew of a request."""

    @property
    def held_bytes(self) -> int:
        """About how much content it holds, which may lie on no disk as it is, so that a row is made of it at once; 0: it is facts alone."""

    @property
    def tells(self) -> bool:
        """Whether `tell` knows all that the access log says of it."""

    def tell(self, facts: dict[str, Any]) -> None:
        """Add to a line of the access log what is known."""

    def fill(self, row: Row) -> None:
        """Write into the row what is known. By whoever makes rows, which may be long after the request."""


PartT = TypeVar("PartT", bound=Known | None)


_SESSION, _OTHER_SESSION = map(istr, SESSION_HEADERS)
_TAGS, _OTHER_TAGS = map(istr, TAG_HEADERS)
_TRACEPARENT, _USER_AGENT = istr("traceparent"), istr("user-agent")


class Seen(msgspec.Struct, Generic[PartT], gc=False, array_like=True):
    """A request that was answered: what is known of it, and nothing worked out.

    Nothing here leads back to it, so that the collector of cycles need not look. It is kept on disk as it is until a row is made of
    it, so a field may be added at the end, with a default, and none be changed.
    """

    ended: float
    seconds: float
    role: str
    endpoint: str
    method: str
    path: str
    request_id: str
    status: int
    key: str | None
    tenant: str | None
    team: str | None
    session: str | None
    traceparent: str | None
    tags: list[str] | None
    user_agent: str | None
    client: str | None
    trace_id: str | None
    part: PartT
    error: Failure | None

    def facts(self) -> dict[str, Any]:
        """Its line in the access log. See `Known.tells`."""
        facts: dict[str, Any] = {
            "role": self.role,
            "request_id": self.request_id,
            "endpoint": self.endpoint,
            "method": self.method,
            "status": self.status,
            "ms": round(self.seconds * 1e3, 2),
            "client": self.client,
            "key": self.key,
        }
        if self.trace_id:
            facts["trace_id"] = self.trace_id
        if self.part is not None:
            self.part.tell(facts)
        return facts


def note(
    recorder: Recorder,
    request: web.Request,
    role: str,
    endpoint: str,
    request_id: str,
    caller: Caller | None,
    status: int,
    seconds: float,
    trace_id: str,
    part: Part | None,
    error: Failure | None,
) -> Seen[Any] | None:
    """Leave a request to the recorder. What it needs of it is taken now: what waits to be written keeps nothing else alive.

    What was left, where it can tell the access log as much (`Known.tells`).
    """
    said = request.headers.get
    key = tenant = team = tags = None
    if caller is not None:
        key, tenant, team = caller.key_id, caller.tenant, caller.team
    some, other = said(_TAGS), said(_OTHER_TAGS)
    if some is not None or other is not None:
        tags = [one for one in (some, other) if one]
    known = None if part is None else part.close()
    seen = Seen(
        time.time(),
        seconds,
        role,
        endpoint,
        request.method,
        request.path,
        request_id,
        status,
        key,
        tenant,
        team,
        said(_SESSION) or said(_OTHER_SESSION),
        said(_TRACEPARENT),
        tags,
        said(_USER_AGENT),
        request.remote,
        trace_id or None,
        known,
        error,
    )
    if known is None or not known.held_bytes:
        recorder.jot(seen)
    else:
        recorder.note(row_of, seen, known.held_bytes)
    return seen if known is None or known.tells else None


def note_call(
    recorder: Recorder,
    role: str,
    endpoint: str,
    request_id: str,
    caller: Caller,
    status: int,
    seconds: float,
    traceparent: str | None,
    part: Part,
    error: Failure | None,
) -> None:
    """The same of what another role of this process asked, without HTTP."""
    span = current()
    known: Known | None = part.close()
    seen = Seen(
        time.time(),
        seconds,
        role,
        endpoint,
        "",
        "",
        request_id,
        status,
        caller.key_id,
        caller.tenant,
        caller.team,
        None,
        traceparent,
        None,
        None,
        None,
        None if span is None else span.trace_id,
        known,
        error,
    )
    if known is None or not known.held_bytes:
        recorder.jot(seen)
    else:
        recorder.note(row_of, seen, known.held_bytes)


class Jotted(Generic[PartT]):
    """How what was seen is kept until a row is made of it. See `records.held.Jotting`. `kind` is `Seen` of the parts there are."""

    def __init__(self, kind: type[Seen[PartT]]) -> None:
        self.encode: Callable[[list[object]], bytes] = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[kind]).decode  # type: ignore[valid-type]
        self._one = msgspec.msgpack.Decoder(kind).decode

    def row(self, seen: Any, /) -> Row:
        """See `Jotting.row`."""
        return row_of(seen)

    def rows(self, batch: bytes) -> Iterator[Row]:
        """See `Jotting.rows`."""
        told = list_in(batch)
        try:
            known: Iterable[Seen[PartT] | msgspec.Raw] = self._decode(told)
        except msgspec.ValidationError:  # one of them is not what it ought to be: each by itself
            known = _apart(told)
        for one in known:
            try:
                yield row_of(self._one(one) if isinstance(one, msgspec.Raw) else one)
            except Exception:
                log.exception("records.row_not_made")


_apart = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def error_facts(error: IntelliRouterError) -> Failure:
    """What is told of an error."""
    return Failure(
        error.code,
        error.message[:MAX_MESSAGE],
        error.details.get("attempts"),
        error.details.get("cost_usd"),
        error.details.get("guards"),
    )


def row_of(seen: Seen[Any]) -> Row:
    """The row."""
    row = Row(
        ended=seen.ended,
        seconds=seen.seconds,
        request_id=seen.request_id,
        session=bounded(seen.session or ""),
        trace_id=seen.trace_id or _trace_id(seen.traceparent),
        role=seen.role,
        node=NODE,
        method=seen.method,
        path=bounded(seen.path),
        endpoint=seen.endpoint,
        status=seen.status,
        tags=listed_tags(seen.tags) if seen.tags else (),
        user_agent=bounded(seen.user_agent or ""),
        client=seen.client or "",
        key=seen.key or "",
        tenant=seen.tenant or "",
        team=seen.team or "",
    )
    if seen.error is not None:
        row.error, row.message = seen.error.code, seen.error.message
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


class RunPart(msgspec.Struct, gc=False, array_like=True, tag="run"):
    """A request that is about a run of a chain. See `Part` and `Known`."""

    held_bytes: ClassVar[int] = 0
    tells: ClassVar[bool] = True

    run_id: str

    def close(self) -> Known:
        """See `Part.close`."""
        return self

    def tell(self, facts: dict[str, Any]) -> None:
        """See `Known.tell`: which run it was is in the path."""

    def fill(self, row: Row) -> None:
        """See `Known.fill`."""
        row.chain_run = bounded(self.run_id)
