"""`GET /v1/runs/{id}/events`: a run as it goes, from any node, and again from where a listener was.

What is recorded decides: each recorded step is one event with an id that grows with the time of its record, so that
`Last-Event-ID` goes on behind it, and an ended run tells all of its steps again. What the node that walks the run hears beside that
(a step that begins, or is tried again) comes without an id, and is not told twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.api import framed
from intellirouter.roles.chain_engine.hearing import Heard
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.web.endpoint import CALLER
from intellirouter.web.sse import StreamWriter

KEEP_ALIVE = 15.0
LOOK_SECONDS = 0.5
"""Between two looks at a run that another node walks."""
RECORD_SECONDS = 0.02
"""What is heard is recorded a moment later."""
_ID = re.compile(r"(\d{1,16})-(\d{1,9})")
_RECORDED = frozenset({"step_finished", "step_failed", "step_waited"})
"""What is told from the record and not when it is heard, which is a moment earlier."""


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `step_finished`, `step_failed`, `run_waiting` and at last `run_ended`; `last-event-id` goes on behind one."""
    last = _last(request.headers.get("last-event-id", ""))
    run_id = request.match_info["id"]
    await request.app[ENGINE].row(request[CALLER], run_id)  # one that is not there is a 404, not a stream
    writer = StreamWriter(request, "text/event-stream", dict, keep_alive=KEEP_ALIVE)
    await writer.relay(_told(request, run_id, last))
    return await writer.finish()


async def _told(request: web.Request, run_id: str, last: tuple[int, int]) -> AsyncIterator[bytes]:
    service, caller = request.app[ENGINE], request[CALLER]
    row = await service.row(caller, run_id)
    waiting: object = None
    with service.hearing.following(run_id) as queue:
        while True:
            (run,) = await service.shown(row)  # first: what ends is recorded whole by then
            for place, step in sorted((_place(step), step) for step in await service.steps(caller, run_id)):
                if place > last:
                    last = place
                    failed = isinstance(step["outcome"], dict) and "error" in step["outcome"]
                    yield _event("step_failed" if failed else "step_finished", step, place)
            if run["status"] not in ("running", "waiting", "queued"):
                yield _event("run_ended", run)
                return
            now = (run["waiting_for"], run["waiting_until"]) if run["status"] == "waiting" else None
            if now is not None and now != waiting:
                yield _event("run_waiting", run)
            waiting = now
            for event, facts in await _heard(queue):
                yield _event(event, facts)


async def _heard(queue: asyncio.Queue[Heard | None]) -> list[Heard]:
    """What is heard until something was recorded, or it is time to look again."""
    found: list[Heard] = []
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            heard = await queue.get()
    except TimeoutError:
        return found
    while heard is not None and heard[0] not in _RECORDED:
        found.append(heard)
        if queue.empty():
            return found
        heard = queue.get_nowait()
    await asyncio.sleep(RECORD_SECONDS)
    return found


def _place(step: dict[str, Any]) -> tuple[int, int]:
    return int((step["ended_at"] or 0) * 1e3), step["number"]


def _event(name: str, facts: object, place: tuple[int, int] | None = None) -> bytes:
    at = b"" if place is None else b"id: %d-%d\n" % place
    return b"%bevent: %b\ndata: %b\n\n" % (at, name.encode(), msgspec.json.encode(facts))


def _last(given: str) -> tuple[int, int]:
    if not given:
        return (-1, -1)
    found = _ID.fullmatch(given)
    if found is None:
        raise InvalidRequest("'Last-Event-ID' is the id of an event of this run.", param="Last-Event-ID")
    return int(found[1]), int(found[2])


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.get("/v1/runs/{id}/events", framed("run_events", events))]
