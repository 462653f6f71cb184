"""`GET /admin/audit` and `/admin/audit/verify`: who did what. Needs `admin:audit:read`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.roles.keys import AUDITOR, SETTINGS, STATE
from intellirouter.roles.router.records_query import whole
from intellirouter.security.audit import shared
from intellirouter.security.audit.auditor import Auditor
from intellirouter.security.audit.chain import read
from intellirouter.security.audit.entry import Record
from intellirouter.security.audit.search import MOST, Query, cursor, newest_first, search
from intellirouter.security.audit.verify import Verdict, verify_files
from intellirouter.web.endpoint import endpoint

FIELDS = tuple(Query.__struct_fields__)


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _auditor(request: web.Request) -> Auditor:
    auditor = request.app[AUDITOR]
    if auditor is None:
        raise NotFound("Nothing is audited on this node: set [auth.audit] level.")
    return auditor


def _shared(request: web.Request) -> bool:
    settings = request.app[SETTINGS]
    return settings.auth.audit.share and settings.memory.backend_type != "embedded"


async def audit(request: web.Request) -> web.StreamResponse:
    """Records, the newest first: of every node where they share a Redis, of this one otherwise.

    `?since=&until=` (UTC, 2026-11-20 or 2026-11-20T08:15:00Z), `kind`, `action`, `who`, `on`, `tenant`, `address`, `outcome`,
    `request`, `node`, `text`, `limit` (100), and `before=` what `next` said.
    """
    auditor = _auditor(request)
    query, limit = query_of(request.query.items())
    if _shared(request):
        found = await _of_all(request, query, limit)
    else:
        lines = newest_first(auditor.journal.directory, query)
        found = await asyncio.to_thread(search, lines, query, limit)
    more = cursor(found[-1]) if len(found) >= limit else None
    return _json({"object": "list", "level": auditor.level, "data": found, "next": more})


async def _of_all(request: web.Request, query: Query, limit: int) -> list[Record]:
    """The nodes' records of a day are merged by their time, a day at a time."""
    found: list[Record] = []
    day: list[Record] = []
    of = ""
    async for line in shared.newest_first(request.app[STATE], query):
        record = read(line)
        if record is None:
            continue
        if record.at[:10] != of:
            found += sorted(day, key=cursor, reverse=True)
            if len(found) >= limit:
                return found[:limit]
            of, day = record.at[:10], []
        if query.takes(record, line):
            day.append(record)
    return [*found, *sorted(day, key=cursor, reverse=True)][:limit]


async def verify(request: web.Request) -> web.StreamResponse:
    """Whether the records of this node, and the copies of the others', are as they were written; all that is wrong is named."""
    auditor = _auditor(request)
    journal, store = auditor.journal, request.app[STATE]
    head = await shared.head_of(store, journal.node)
    also = [("the shared store", head)] if head is not None else []
    verdicts = [await asyncio.to_thread(verify_files, journal.directory, journal.node, journal.signer, also)]
    if _shared(request):
        for node, days in (await shared.nodes(store)).items():
            if node != journal.node:
                verdicts.append(await shared.verify_copy(store, node, days, journal.signer))
    return _json(answer_of(verdicts))


def answer_of(verdicts: list[Verdict]) -> dict[str, object]:
    """What is told of them."""
    holds = not any(verdict.findings for verdict in verdicts)
    return {"object": "audit.verification", "holds": holds, "nodes": verdicts}


def query_of(given: Iterable[tuple[str, str]]) -> tuple[Query, int]:
    """The query and its limit. Raises `InvalidRequest`."""
    values: dict[str, str] = {}
    limit = 100
    for name, value in given:
        if name == "limit":
            limit = whole({name: value}, name, limit, 1, MOST)
        elif name not in FIELDS:
            raise InvalidRequest(
                f"There is no parameter '{name[:60]}'. Parameters: {', '.join((*FIELDS, 'limit'))}.",
                param=name[:60],
            )
        else:
            values[name] = value[:512]
    return Query(**values), limit


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (("/admin/audit", audit, (*FIELDS, "limit")), ("/admin/audit/verify", verify, ()))
    return [
        web.get(
            path,
            endpoint(
                f"admin_{'audit' if handler is audit else 'audit_verify'}",
                handler,
                encode_error,
                query=query,
            ),
        )
        for path, handler, query in table
    ]
