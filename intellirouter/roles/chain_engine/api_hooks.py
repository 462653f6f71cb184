"""`/v1/hooks`: what was and was not delivered to the hooks of a tenant's runs."""

from __future__ import annotations

import asyncio

from aiohttp import web

from intellirouter.chat import fields
from intellirouter.errors import NotFound
from intellirouter.roles.chain_engine.api import answer, framed
from intellirouter.roles.chain_engine.api_runs import limit_of
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.web.endpoint import CALLER

STATES = frozenset({"pending", "delivered", "dead"})


async def listed(request: web.Request) -> web.StreamResponse:
    """Deliveries to hooks, the newest first; `status` is pending, delivered or dead."""
    state = fields.one_of(request.query, "status", STATES)
    limit = limit_of(request.query.get("limit", "20"))
    outbox = request.app[ENGINE].hooks.outbox
    found = await asyncio.to_thread(outbox.listed, request[CALLER].tenant, state, limit)
    return answer({"object": "list", "data": [delivery.shown() for delivery in found]})


async def retry(request: web.Request) -> web.StreamResponse:
    """Try one that was given up again, or with `all` in place of its id every one."""
    wanted = request.match_info["id"]
    outbox, tenant = request.app[ENGINE].hooks.outbox, request[CALLER].tenant
    count = await asyncio.to_thread(outbox.again, tenant, None if wanted == "all" else wanted)
    if not count and wanted != "all":
        raise NotFound(f"No delivery '{wanted[:100]}' was given up.")
    return answer({"object": "chain.deliveries", "retried": count}, 202)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/hooks", framed("hooks", listed, query=("status", "limit"))),
        web.post("/v1/hooks/{id}/retry", framed("hooks_retry", retry)),
    ]
