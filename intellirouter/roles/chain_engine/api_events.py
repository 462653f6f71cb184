"""`GET /v1/runs/{id}/events`: a run as it goes, from any node, and again from where a listener was.

What is recorded decides: each recorded step is one event whose id says what was told up to it (`Place`), so that `Last-Event-ID` goes on
behind it, and an ended run tells all of its steps again. The words of a step under way come as `step_tokens`, whose id also says how
much of them was told. What the node that walks the run hears beside that (a step that begins, or is tried again) comes without an
id, and is not told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from intellirouter.roles.chain_engine.api import framed
from intellirouter.roles.chain_engine.hearing import Heard
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.listening import Place
from intellirouter.roles.chain_engine.passing import RECORDED
from intellirouter.roles.following import followed
from intellirouter.web.endpoint import CALLER

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService

LOOK_SECONDS = 0.5
"""Between two looks at a run that another node walks."""
RECORD_SECONDS = 0.02
"""What is heard is recorded a moment later."""


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `step_finished`, `step_failed`, `step_tokens`, `run_waiting` and at last `run_ended`.

    `last-event-id` goes on behind one, also in the middle of a step's words.
    """
    last = Place.read(request.headers.get("last-event-id", ""))
    run_id = request.match_info["id"]
    await request.app[ENGINE].row(request[CALLER], run_id)  # one that is not there is a 404, not a stream
    return await followed(request, _told(request, run_id, last), "runs:read", resumable=True)


async def _told(request: web.Request, run_id: str, at: Place) -> AsyncIterator[bytes]:
    service, caller = request.app[ENGINE], request[CALLER]
    row = await service.row(caller, run_id)
    waiting: object = None
    with service.hearing.following(run_id) as queue:
        async with service.live.following(run_id):
            while True:
                (run,) = await service.shown(row)  # first: what ends is recorded whole by then
                due = at.due(await service.steps(caller, run_id))
                async for event in _words(service, run_id, at, fresh=bool(due)):
                    yield event  # the last of a step's stand before its record
                for step in due:
                    at.told(step)
                    failed = isinstance(step["outcome"], dict) and "error" in step["outcome"]
                    yield _event("step_failed" if failed else "step_finished", step, at.text())
                if run["status"] not in ("running", "waiting", "queued"):
                    yield _event("run_ended", run)
                    return
                now = (run["waiting_for"], run["waiting_until"]) if run["status"] == "waiting" else None
                if now is not None and now != waiting:
                    yield _event("run_waiting", run)
                waiting = now
                async for event in _until_recorded(service, run_id, queue, at):
                    yield event


async def _until_recorded(
    service: ChainService, run_id: str, queue: asyncio.Queue[Heard | None], at: Place
) -> AsyncIterator[bytes]:
    """What is heard until something was recorded, or it is time to look again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LOOK_SECONDS
    while True:
        async for event in _words(service, run_id, at):
            yield event
        try:
            async with asyncio.timeout_at(until):
                heard = await queue.get()
        except TimeoutError:
            return
        if heard is None or heard[0] in RECORDED:
            await asyncio.sleep(RECORD_SECONDS)
            return
        if heard[0] != "step_tokens":
            yield _event(*heard)


async def _words(
    service: ChainService, run_id: str, at: Place, *, fresh: bool = False
) -> AsyncIterator[bytes]:
    """What steps have said that the listener was not told."""
    said = await service.live.said(run_id, walks_here=service.runtime.walks(run_id), fresh=fresh)
    for words, step, tail in at.new(said):
        at.behind(words, step, tail)
        yield _event("step_tokens", {"run_id": run_id, **words}, at.text())


def _event(name: str, facts: object, place: bytes | None = None) -> bytes:
    at = b"" if place is None else b"id: %b\n" % place
    return b"%bevent: %b\ndata: %b\n\n" % (at, name.encode(), msgspec.json.encode(facts))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.get("/v1/runs/{id}/events", framed("run_events", events, recorded=False))]
