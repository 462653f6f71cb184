"""`/v1/chains/{name}/runs` and `/v1/runs`: start, list, look at, signal, cancel and resume runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.errors import InvalidRequest, StateUnavailable
from intellirouter.peers.chain_output import used
from intellirouter.roles.chain_engine import steering
from intellirouter.roles.chain_engine.api import answer, framed, only
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.store import RunRow
from intellirouter.roles.following import followed
from intellirouter.web.body import BODY_VALUES, parse_object, read_body, read_json
from intellirouter.web.endpoint import CALLER, PART
from intellirouter.web.noting import RunPart

MAX_KEY = 200
MAX_PRIORITY = 100
LOOK_SECONDS = 2.0
_GOING = ("running", "waiting", "queued")
STATUSES = frozenset({*_GOING, "succeeded", "failed", "cancelled"})
RUN_FILTERS = ("chain", "status", "revision", "limit", "after")
MAX_LOOKED = 2_000
"""Runs that one page is looked for in; `after` then says where to look on."""


async def start(request: web.Request) -> web.StreamResponse:
    """Start a run with `input`. `mode` "wait" answers at its end, "background" at once (202), "stream" (or `stream`) as it goes.

    Where runs wait in line, `queue` names one that is configured, and `priority` (-100 to 100, 0) goes before what has less.
    An `Idempotency-Key` names the run for good: the same key finds the run it started.
    """
    service, caller = request.app[ENGINE], request[CALLER]
    if service.section.mode == "worker":
        raise StateUnavailable("This node is a worker (chain_engine.mode): start runs at one that is 'api'.")
    body = only(await read_json(request), "input", "mode", "stream", "queue", "priority")
    inputs = fields.mapping(body, "input") or {}
    mode = fields.one_of(body, "mode", {"wait", "background", "stream"}) or "wait"
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise InvalidRequest(f"An Idempotency-Key has 1 to {MAX_KEY} characters.", param="Idempotency-Key")
    run_id, name = service.run_id(caller, key), request.match_info["name"]
    request[PART] = RunPart(run_id)
    place: dict[str, Any] = {"queue": fields.text(body, "queue"), "priority": priority_of(body)}
    if fields.boolean(body, "stream") or mode == "stream":
        return await _streamed(request, name, inputs, run_id, place)
    row, new = await service.start(caller, name, inputs, run_id, **place)
    if mode == "wait":
        await service.wait(run_id, service.section.wait_timeout_seconds)
    (run,) = await service.shown(row)
    status = 202 if run["status"] in _GOING else 200
    if status == 200:
        run["usage"] = used(await service.steps(caller, run_id))
    return answer(run, status, None if new else {"idempotent-replayed": "true"})


def priority_of(body: Mapping[str, Any]) -> int | None:
    """`priority` of a start. Raises `InvalidRequest`."""
    given = fields.integer(body, "priority")
    if given is not None and not -MAX_PRIORITY <= given <= MAX_PRIORITY:
        raise InvalidRequest(f"'priority' is between -{MAX_PRIORITY} and {MAX_PRIORITY}.", param="priority")
    return given


async def _streamed(
    request: web.Request, name: str, inputs: dict[str, Any], run_id: str, place: dict[str, Any]
) -> web.StreamResponse:
    """Server-sent events, one a step's event; the last is `run_ended`."""
    service = request.app[ENGINE]
    async with contextlib.AsyncExitStack() as stack:
        queue = stack.enter_context(service.hearing.following(run_id))
        await stack.enter_async_context(service.live.following(run_id))
        row, _ = await service.start(request[CALLER], name, inputs, run_id, **place)

        async def events() -> AsyncIterator[bytes]:
            (run,) = await service.shown(row)
            yield _event("run_started", {"id": run_id, "chain": name, "status": run["status"]})
            while run["status"] in _GOING:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        heard = await queue.get()
                except TimeoutError:  # another node may have it, of which nothing is heard here
                    (run,) = await service.shown(row)
                    continue
                if heard is None:
                    break
                yield _event(*heard)
            (run,) = await service.shown(row)
            yield _event("run_ended", run)

        return await followed(request, events(), "chains:start")


def _event(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


async def list_runs(request: web.Request) -> web.StreamResponse:
    """The newest first; `chain`, `status` and `revision` filter, `limit` (1 to 100) and `after` (a run's id) page."""
    query, service = request.query, request.app[ENGINE]
    status, limit = fields.one_of(query, "status", STATUSES), limit_of(query.get("limit", "20"))
    revision = query.get("revision")
    if revision is not None and not (revision.isdecimal() and len(revision) < 10):
        raise InvalidRequest("'revision' is the number of a version.", param="revision")
    for name in query:
        if name not in RUN_FILTERS:
            raise InvalidRequest(
                f"Runs have no filter '{name[:60]}': {', '.join(RUN_FILTERS)}.", param=name[:60]
            )
    found: list[dict[str, Any]] = []
    after, more, looked = query.get("after"), True, 0
    while more and len(found) < limit and looked < MAX_LOOKED:
        rows = await service.rows(
            request[CALLER], query.get("chain"), after, limit, int(revision) if revision else None
        )
        for run in await service.shown(*rows):
            if len(found) == limit:  # the next page begins behind the last one that is shown
                break
            after = run["id"]
            wanted = status in (None, run["status"]) and request[CALLER].may_use_chain(run["chain"])
            found += [run] if wanted else []
        looked += len(rows)
        more = len(rows) == limit or (bool(rows) and after != rows[-1].run_id)
    return answer({"object": "list", "data": found, "has_more": more, "after": after})


def limit_of(given: str) -> int:
    """How many are listed. Raises `InvalidRequest`."""
    try:
        limit = int(given)
    except ValueError as cause:
        raise InvalidRequest("'limit' must be a number.", param="limit") from cause
    if not 1 <= limit <= 100:
        raise InvalidRequest("'limit' must be between 1 and 100.", param="limit")
    return limit


async def get_run(request: web.Request) -> web.StreamResponse:
    """One run: how it stands, its output or its error, and what its steps have used."""
    service, row = request.app[ENGINE], await _row(request)
    (run,) = await service.shown(row)
    said = await asyncio.to_thread(service.hooks.outbox.answers, row.run_id) if service.hooks.hooks else []
    if row.edge is not None:
        rest = await asyncio.to_thread(service.arrivals.rest, row.run_id)
        return answer(
            {**run, "input": rest.input, "usage": rest.usage, **({"cut": True} if rest.cut else {})}
        )
    usage = used(await service.steps(request[CALLER], row.run_id))
    return answer({**run, "usage": usage, **({"evaluations": said} if said else {})})


async def steps(request: web.Request) -> web.StreamResponse:
    """What the run has recorded, in order."""
    found = await request.app[ENGINE].steps(request[CALLER], request.match_info["id"])
    return answer({"object": "list", "data": found})


async def signal(request: web.Request) -> web.StreamResponse:
    """Hand the body, a JSON object or nothing, to the step that waits for this signal, now or later."""
    data = await read_body(request)
    payload = await parse_object(data, request.app[BODY_VALUES], request) if data else None
    found = request.match_info
    await steering.signal(request.app[ENGINE], request[CALLER], found["id"], found["name"], payload)
    return answer({"id": found["id"], "signal": found["name"], "accepted": True}, 202)


async def cancel(request: web.Request) -> web.StreamResponse:
    """Cancel a run."""
    await steering.cancel(request.app[ENGINE], request[CALLER], request.match_info["id"])
    return await _one(request, await _row(request))


async def resume(request: web.Request) -> web.StreamResponse:
    """Let a cancelled run go on after its last recorded step."""
    await steering.resume(request.app[ENGINE], request[CALLER], request.match_info["id"])
    return await _one(request, await _row(request), 202)


async def fork(request: web.Request) -> web.StreamResponse:
    """A new run that takes over what was recorded before `step`, a number of `/steps`, and goes on from there."""
    step = fields.integer(only(await read_json(request), "step"), "step", least=1)
    if step is None:
        fields.missing("step")
    new = await steering.fork(request.app[ENGINE], request[CALLER], request.match_info["id"], step)
    return await _one(request, new, 202)


async def _row(request: web.Request) -> RunRow:
    return await request.app[ENGINE].row(request[CALLER], request.match_info["id"])


async def _one(request: web.Request, row: RunRow, status: int = 200) -> web.Response:
    (run,) = await request.app[ENGINE].shown(row)
    return answer(run, status)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    one = "/v1/runs/{id}"
    return [
        web.post("/v1/chains/{name}/runs", framed("start", start)),
        web.get("/v1/runs", framed("runs", list_runs, query=RUN_FILTERS)),
        web.get(one, framed("run", get_run, recorded=False)),
        web.get(f"{one}/steps", framed("steps", steps)),
        web.post(one + "/signals/{name}", framed("signal", signal)),
        web.post(f"{one}/cancel", framed("cancel", cancel)),
        web.post(f"{one}/resume", framed("resume", resume)),
        web.post(f"{one}/fork", framed("fork", fork)),
    ]
