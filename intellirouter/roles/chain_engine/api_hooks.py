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
AT_ONCE = 500
"""Deliveries in one statement."""


async def listed(request: web.Request) -> web.StreamResponse:
    """Deliveries to hooks, the newest first; `status` is pending, delivered or dead."""
    state = fields.one_of(request.query, "status", STATES)
    limit = limit_of(request.query.get("limit", "20"))
    service, caller = request.app[ENGINE], request[CALLER]
    found = await asyncio.to_thread(service.hooks.outbox.listed, caller.tenant, state, limit)
    may = await service.usable(caller, [delivery.run_id for delivery in found])
    data = [delivery.shown() for delivery in found if delivery.run_id in may]
    return answer({"object": "list", "data": data})


async def retry(request: web.Request) -> web.StreamResponse:
    """Try one that was given up again, or with `all` in place of its id every one."""
    wanted, service, caller = request.match_info["id"], request.app[ENGINE], request[CALLER]
    outbox, one = service.hooks.outbox, None if wanted == "all" else wanted
    dead = await asyncio.to_thread(outbox.dead, caller.tenant, one)
    may = await service.usable(caller, [run_id for _, run_id in dead])
    ids = [id_ for id_, run_id in dead if run_id in may]
    count = sum(
        [
            await asyncio.to_thread(outbox.again, caller.tenant, ids[at : at + AT_ONCE])
            for at in range(0, len(ids), AT_ONCE)
        ]
    )
    if not count and one is not None:
        raise NotFound(f"No delivery '{wanted[:100]}' was given up.")
    return answer({"object": "chain.deliveries", "retried": count}, 202)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/hooks", framed("hooks", listed, query=("status", "limit"))),
        web.post("/v1/hooks/{id}/retry", framed("hooks_retry", retry)),
    ]
