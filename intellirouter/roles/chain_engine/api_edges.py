"""`/ipc/v1/edge`, where edges bring their runs, and `/v1/edges`: what waits at an edge, and how edges do at their centre."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.marks import is_long
from intellirouter.errors import Conflict
from intellirouter.peers.edges import PATH, batch_of
from intellirouter.roles.chain_engine.api import answer, framed, only
from intellirouter.roles.chain_engine.edges.taking import take as taken
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.web.body import read_body, read_json
from intellirouter.web.endpoint import CALLER


async def take(request: web.Request) -> web.StreamResponse:
    """Take runs of an edge, which signs with its own token; says of each what is there now. Sent again, they are not there twice."""
    body, caller = await read_body(request), request[CALLER]
    batch = (
        await LONG.run(f"edge {caller.key_id}", lambda: batch_of(body)) if is_long(body) else batch_of(body)
    )
    return answer(msgspec.to_builtins(await taken(request.app[ENGINE], caller, batch)))


async def edges(request: web.Request) -> web.StreamResponse:
    """`centre`: at an edge, what waits for it and how it answers; `data`: at a centre, its edges and when each was heard last."""
    service = request.app[ENGINE]
    found = await asyncio.to_thread(service.arrivals.heard)
    link = None if service.link is None else await service.link.standing()
    return answer({"object": "list", "centre": link, "data": found})


async def resend(request: web.Request) -> web.StreamResponse:
    """Forward everything once more, for a centre that was restored from a backup: what it has is not there twice."""
    only(await read_json(request))
    link = request.app[ENGINE].link
    if link is None:
        raise Conflict("This node is no edge (chain_engine.mode is not 'hybrid').")
    return answer({"object": "chain.edge.resend", "waiting": await link.again()}, 202)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.post(PATH, framed("take", take)),
        web.get("/v1/edges", framed("edges", edges)),
        web.post("/v1/edges/resend", framed("edges_resend", resend)),
    ]
