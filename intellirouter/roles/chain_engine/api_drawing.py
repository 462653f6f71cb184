"""`drawing` and `timeline`: stored chains and runs as pictures, and a run's steps along the time as data."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.drawing.bars import bars, picture
from intellirouter.chains.drawing.marks import Mark, lasting, marks
from intellirouter.chains.drawing.mermaid import mermaid
from intellirouter.chains.drawing.svg import svg
from intellirouter.chains.made import made
from intellirouter.chat import fields
from intellirouter.errors import InvalidRequest
from intellirouter.peers.chain_output import used
from intellirouter.roles.chain_engine.api import answer, framed
from intellirouter.roles.chain_engine.definitions import paths
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.web.endpoint import CALLER

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService
    from intellirouter.roles.chain_engine.store import RunRow

FORMS = frozenset({"svg", "mermaid"})
_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-content-type-options": "nosniff"}  # fmt: skip


async def chain(request: web.Request) -> web.StreamResponse:
    """A stored chain as a picture: `format` svg or mermaid, `revision` one of its versions."""
    service, caller, name = request.app[ENGINE], request[CALLER], request.match_info["name"]
    revision = request.query.get("revision")
    if revision is not None and not (revision.isdecimal() and len(revision) < 10):
        raise InvalidRequest("'revision' is the number of a version.", param="revision")
    found = await service.library.version(caller, name, int(revision) if revision else None)
    made_ = await made(caller.tenant, name, found.document, service.section.default_timeout_seconds)
    draw = mermaid if _form(request, FORMS) == "mermaid" else svg
    return _picture(await ASIDE.run(caller.tenant, lambda: draw(made_)))


async def run(request: web.Request) -> web.StreamResponse:
    """A run as a picture, with how each step stands, how long it took and what it cost: `format` svg, mermaid or timeline."""
    service, caller = request.app[ENGINE], request[CALLER]
    row = await service.row(caller, request.match_info["id"])
    form = _form(request, FORMS | {"timeline"})
    (told,) = await service.shown(row)
    steps = await service.steps(caller, row.run_id)
    if form == "timeline":
        found = bars(told, steps, time.time(), await _waiting(service, row))
        return _picture(await ASIDE.run(caller.tenant, lambda: picture(told, found)))
    if row.edge is not None:
        document = (await asyncio.to_thread(service.arrivals.rest, row.run_id)).definition
    else:
        document = await service.runtime.document(row.run_id)
    if document is None:  # it waits in line
        document = (await service.library.version(caller, row.chain, row.revision)).document
    drawn = await made(caller.tenant, row.chain, document, service.section.default_timeout_seconds)
    stands = await _marks(service, row, document, steps)
    if form == "mermaid":
        return _picture(await ASIDE.run(caller.tenant, lambda: mermaid(drawn, stands)))
    title = _title(told, used(steps))
    return _picture(await ASIDE.run(caller.tenant, lambda: svg(drawn, stands, title)))


async def timeline(request: web.Request) -> web.StreamResponse:
    """The run's steps along the time: `path`, `kind`, `state`, `offset` and `seconds` from the run's start, `depth`, `attempts`, `cost_usd`."""
    service, caller = request.app[ENGINE], request[CALLER]
    row = await service.row(caller, request.match_info["id"])
    (told,) = await service.shown(row)
    steps = await service.steps(caller, row.run_id)
    found = bars(told, steps, time.time(), await _waiting(service, row))
    return answer({"object": "list", "run": told, "usage": used(steps), "data": found})


async def _waiting(service: ChainService, row: RunRow) -> dict[str, Any] | None:
    wait = (await asyncio.to_thread(service.runtime.waits.of, [row.run_id])).get(row.run_id)
    if wait is None:
        return None
    return {"path": wait.path, "kind": "wait" if wait.signal else "sleep", "started_at": wait.since}


async def _marks(
    service: ChainService, row: RunRow, document: dict[str, Any], steps: list[dict[str, Any]]
) -> dict[str, Mark]:
    wait = (await asyncio.to_thread(service.runtime.waits.of, [row.run_id])).get(row.run_id)
    under_way = tuple(service.hearing.under_way.get(row.run_id, ()))
    names = [path for path, _ in paths(document.get("steps", ()), "")]
    return marks(names, steps, under_way, wait.path if wait else "")


def _title(told: dict[str, Any], usage: dict[str, Any]) -> str:
    parts = [f"{told['chain']} {told['id']}", str(told["status"])]
    if told["ended_at"] is not None:
        parts.append(lasting(told["ended_at"] - told["created_at"]))
    if usage.get("cost_usd"):
        parts.append(f"${usage['cost_usd']:.4f}")
    return " · ".join(parts)


def _form(request: web.Request, known: frozenset[str]) -> str:
    return fields.one_of(request.query, "format", known) or "svg"


def _picture(text: str) -> web.Response:
    kind = "image/svg+xml" if text.startswith("<svg") else "text/plain"
    return web.Response(text=text, content_type=kind, headers=_HEADERS)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/chains/{name}/drawing", framed("drawing", chain, query=("format", "revision"))),
        web.get("/v1/runs/{id}/drawing", framed("run_drawing", run, query=("format",))),
        web.get("/v1/runs/{id}/timeline", framed("timeline", timeline)),
    ]
