"""`/admin/requests`, `/admin/sessions`, `/admin/usage`: the record of requests, looked at.

Whoever may ask the Router for answers sees the rows of its own tenant; with `admin:records:read` everybody's.
"""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import IntelliRouterError, NotFound
from intellirouter.records.query import Query, Usage
from intellirouter.records.records import Records
from intellirouter.records.row import Row, id_at, moment
from intellirouter.records.store import Store
from intellirouter.roles.following import followed
from intellirouter.roles.keys import RECORDER, RECORDS
from intellirouter.roles.router.records_query import (
    FILTERS,
    by_of,
    cursor,
    page_size,
    query_of,
    sees_all,
    whole,
)
from intellirouter.telemetry.logs import exception_facts
from intellirouter.web.endpoint import CALLER, REQUEST_ID, Handler, endpoint
from intellirouter.web.sse import StreamWriter

T = TypeVar("T")

MAX_SESSION = 1000
MAX_EXPORT = 1_000_000
LOOK_SECONDS = 1.0
"""Between two looks for new rows."""
OVERLAP_SECONDS = 5.0
"""Rows of other processes may be written a moment late: so far back every look goes."""
MAX_FOLLOWED = 500
"""New rows that one look tells of; of more, the newest."""
KEEP_ALIVE = 15.0
FEEDBACK_WAITS_SECONDS = 2.0
"""For the row of the request that it is about."""

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(body), status=status, content_type="application/json")


def _record(request: web.Request) -> Records:
    records = request.app[RECORDS]
    if records is None:
        raise NotFound("Nothing is recorded on this node: records.enabled is false.")
    return records


async def _ask(request: web.Request, question: Callable[[Store], T]) -> T:
    return await _record(request).ask(question)


async def requests(request: web.Request) -> web.StreamResponse:
    """Requests, the newest first. `next` is the `cursor` of the page after; a page that took long may be short and still have one.

    Filters: `from`, `to`, `days`, `status` (404, 5xx, ok, failed), `model`, `served_model`, `provider`, `key`, `team`, `user`, `tag`,
    `session`, `request_id`, `trace_id`, `chain_run`, `role`, `endpoint`, `error`, `cache`, `persona`, `min_cost` (US dollars),
    `min_latency` (seconds), `text` (words of the content or the error), `models_only=1`.
    """
    given = request.query
    query = query_of(given, request[CALLER], ("limit", "cursor"))
    limit, before = page_size(given), cursor(given, "cursor")
    page = await _ask(request, lambda store: store.page(query, limit, before))
    following = None if page.before is None else str(page.before)
    return _json({"object": "list", "data": [row.shown() for row in page.rows], "next": following})


async def one(request: web.Request) -> web.StreamResponse:
    """A request by its id, whole: decision, attempts, steps, and content where it is kept. `parts` are the others of its request id."""
    name, caller = request.match_info["id"], request[CALLER]
    tenant = None if sees_all(caller) else caller.tenant
    rows = await _ask(request, lambda store: store.get(name, tenant))
    if not rows:
        raise NotFound(f"There is no request '{name[:128]}' in the record.")
    if rows[0].request_id != name:  # by its row: the others that belong to it are parts too
        row = rows[0]
        parts = await _ask(request, lambda store: store.get(row.request_id, tenant))
    else:
        row, parts = max(rows, key=lambda part: part.seconds), rows
    others = [part.shown() for part in parts if part.id != row.id]
    return _json({**row.shown(whole=True), "parts": others})


async def session(request: web.Request) -> web.StreamResponse:
    """What belongs to a session, oldest first, with its sums: a session id, a conversation, a chain run or a request id."""
    name, caller = request.match_info["id"], request[CALLER]
    tenant = None if sees_all(caller) else caller.tenant
    rows = await _ask(request, lambda store: store.session(name, tenant, MAX_SESSION))
    if not rows:
        raise NotFound(f"There is no session '{name[:128]}' in the record.")
    return _json({"object": "session", "id": name, **_sums(rows), "data": [row.shown() for row in rows]})


def _sums(rows: list[Row]) -> dict[str, Any]:
    return {
        "requests": len(rows),
        "errors": sum(row.status >= 400 or bool(row.error) for row in rows),
        "started": moment(min(row.started for row in rows)),
        "ended": moment(max(row.ended for row in rows)),
        "input_tokens": sum(row.input_tokens or 0 for row in rows),
        "output_tokens": sum(row.output_tokens or 0 for row in rows),
        "cost_usd": round(sum(row.cost_usd or 0.0 for row in rows), 10),
        "truncated": len(rows) == MAX_SESSION,
    }


async def usage(request: web.Request) -> web.StreamResponse:
    """What was used, `by` model, provider, key, team, user, tag, session, tenant, role, endpoint, day or hour, and in all.

    Takes the filters of `/admin/requests`; without a time, the last 24 hours. Percentiles are in seconds, within 3 %. `zone` is minutes
    east of UTC, for days and hours. `all=1` counts also what asked no model.
    """
    given = request.query
    query = query_of(given, request[CALLER], ("by", "zone", "all"))
    if query.since is None:
        query = msgspec.structs.replace(query, since=time.time() - 86_400)
    if given.get("all") not in ("1", "true"):
        query = msgspec.structs.replace(query, asked_a_model=True)
    by, zone = by_of(given), whole(given, "zone", 0, -840, 840)
    groups, total = await _ask(request, lambda store: (store.usage(by, query, zone), store.total(query)))
    return _json(
        {
            "object": "usage",
            "by": by,
            "from": moment(query.since or 0.0),
            "to": moment(query.until or time.time()),
            "total": _used(total),
            "data": [{by: group.name, **_used(group)} for group in groups],
        }
    )


def _used(group: Usage) -> dict[str, Any]:
    facts = msgspec.structs.asdict(group)
    del facts["name"]
    for name, value in facts.items():
        if isinstance(value, float):
            facts[name] = round(value, 10 if name.endswith("usd") else 4)
    facts["error_rate"] = round(group.errors / group.requests, 6) if group.requests else 0.0
    return facts


async def follow(request: web.Request) -> web.StreamResponse:
    """New requests as server-sent events `request`, with the filters of `/admin/requests`; `last-event-id` goes on from there."""
    query = query_of(request.query, request[CALLER])
    last = cursor({"id": request.headers.get("last-event-id", "")}, "id")
    await _ask(
        request, lambda store: store.page(query, 1)
    )  # a wrong question is told as one, before the stream
    with _record(request).following():
        rows = _new_rows(request, query, last)
        return await followed(request, rows, "records:read", b": follows\n\n", resumable=True)


async def _new_rows(request: web.Request, query: Query, last: int | None) -> AsyncIterator[bytes]:
    mark = id_at(time.time()) if last is None else last
    told: set[int] = set()
    while True:
        found = await _ask(request, partial(_after, query, mark))
        new = [row for row in reversed(found) if row.id not in told]
        if new:
            yield b"".join(
                b"id: %d\nevent: request\ndata: %b\n\n" % (row.id, _encode(row.shown())) for row in new
            )
        mark = max(mark, id_at(time.time() - OVERLAP_SECONDS))
        told = {row.id for row in found if row.id > mark}
        await asyncio.sleep(LOOK_SECONDS)


def _after(query: Query, mark: int, store: Store) -> list[Row]:
    return store.page(query, MAX_FOLLOWED, None, mark).rows


async def export(request: web.Request) -> web.StreamResponse:
    """Requests as a file, the newest first: `format=jsonl` (with content and decisions) or `csv`, up to `limit` rows."""
    given = request.query
    query = query_of(given, request[CALLER], ("limit", "format"))
    kind = fields.one_of(given, "format", {"csv", "jsonl"}) or "jsonl"
    limit = whole(given, "limit", 100_000, 1, MAX_EXPORT)
    media = "text/csv" if kind == "csv" else "application/x-ndjson"
    name = f"requests-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.{kind}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    pages: Iterator[list[Row]] = await _ask(request, lambda store: store.rows(query, limit))
    first = await _ask(request, lambda _: next(pages, []))

    async def pieces() -> AsyncIterator[bytes]:
        rows = first
        if kind == "csv":
            yield _csv([list(_flat(Row(ended=0.0)))])
        while rows:
            yield _csv([list(_flat(row).values()) for row in rows]) if kind == "csv" else _lines(rows)
            rows = await _ask(request, lambda _: next(pages, []))

    writer = StreamWriter(request, media, lambda: headers, keep_alive=KEEP_ALIVE, comment=b"")
    try:
        await writer.relay(pieces())
    except IntelliRouterError as error:
        if writer.response is None:
            raise
        log.warning("export.cut", request_id=request[REQUEST_ID], **exception_facts(error))
        if request.transport is not None:  # a clean end would say that this is all
            request.transport.abort()
        return writer.response
    return await writer.finish()


def _lines(rows: list[Row]) -> bytes:
    return b"".join(_encode(row.shown(whole=True)) + b"\n" for row in rows)


def _flat(row: Row) -> dict[str, Any]:
    """A row as cells; a word that a spreadsheet would take for a formula is kept from being one."""
    cells: dict[str, Any] = {}
    for name, value in row.shown().items():
        if isinstance(value, tuple):
            value = " ".join(value)
        elif isinstance(value, dict):
            value = _encode(value).decode()
        if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
            value = f"'{value}"
        cells[name] = "" if value is None else value
    return cells


def _csv(lines: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


async def keep_feedback(
    app: web.Application, request_id: str, tenant: str | None, feedback: dict[str, Any]
) -> bool:
    """Attach feedback to a request of a tenant (None: of any); False where nothing is recorded, or not this request.

    Feedback may come right behind its answer, whose request is gathered still: that is waited for. Raises `StateUnavailable`.
    """
    records, recorder = app[RECORDS], app[RECORDER]
    if records is None:
        return False
    if recorder is not None:
        await recorder.caught_up(FEEDBACK_WAITS_SECONDS)

    def attach(store: Store) -> bool:
        rows = store.get(request_id, tenant)
        return bool(rows) and store.give_feedback(max(rows, key=lambda row: row.seconds).id, feedback)

    return await records.ask(attach)


async def standing(request: web.Request) -> web.StreamResponse:
    """How the record does: rows written, waiting and missing, and how much is kept."""
    recorder = request.app[RECORDER]
    if recorder is None:
        return _json({"enabled": False})
    size = await _ask(request, lambda store: store.size())
    kept = {**msgspec.structs.asdict(size), "oldest": None if size.oldest is None else moment(size.oldest)}
    now = recorder.standing()
    process = {"written": now.written, "dropped": now.dropped, "waiting": now.waiting, "reason": now.reason}
    return _json({"enabled": True, **process, "kept": kept})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler, *query: str) -> Handler:
        return endpoint(f"admin_{name}", handler, encode_error, recorded=False, query=query)

    return [
        web.get("/admin/requests", framed("requests", requests, *FILTERS, "limit", "cursor")),
        web.get("/admin/requests/stream", framed("requests_follow", follow, *FILTERS)),
        web.get("/admin/requests/export", framed("requests_export", export, *FILTERS, "limit", "format")),
        web.get("/admin/requests/{id}", framed("request", one)),
        web.get("/admin/sessions/{id}", framed("session", session)),
        web.get("/admin/usage", framed("usage", usage, *FILTERS, "by", "zone", "all")),
        web.get("/admin/records", framed("records", standing)),
    ]
