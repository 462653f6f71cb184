"""`/v1/schedules`: make, read, pause, trigger and remove schedules."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.errors import NotFound, PermissionDenied
from intellirouter.roles.chain_engine.api import answer, framed, only
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.owners import check_starts
from intellirouter.roles.chain_engine.schedules import Schedule, checked_times
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER


async def put(request: web.Request) -> web.StreamResponse:
    """Make or replace one: `chain`, `cron`, and perhaps `timezone` (UTC), `input`, `catch_up` (false), `paused` (false)."""
    service, caller, name = request.app[ENGINE], request[CALLER], request.match_info["name"]
    known = ("chain", "cron", "timezone", "input", "catch_up", "paused")
    body = only(await read_json(request), *known)
    cron, timezone = fields.required_text(body, "cron"), fields.text(body, "timezone") or "UTC"
    checked_times(cron, timezone)
    chain, inputs = fields.required_text(body, "chain"), fields.mapping(body, "input") or {}
    await service.startable(caller, chain, inputs)
    schedule = Schedule(
        caller.tenant,
        name,
        chain,
        cron,
        timezone,
        msgspec.json.encode(inputs),
        msgspec.json.encode(caller.owner()),
        bool(fields.boolean(body, "catch_up")),
        bool(fields.boolean(body, "paused")),
        time.time(),
    )
    before = await asyncio.to_thread(service.schedules.get, caller.tenant, name)
    if before is None:
        await service.room(caller.tenant, "schedules")
    elif not caller.may_use_chain(before.chain):
        raise PermissionDenied(f"The schedule '{name[:100]}' is of a chain that you may not use.")
    new = await asyncio.to_thread(service.schedules.put, schedule)
    return answer(schedule.shown(time.time()), 201 if new else 200)


async def list_schedules(request: web.Request) -> web.StreamResponse:
    """Every schedule of the tenant."""
    caller = request[CALLER]
    every = await asyncio.to_thread(request.app[ENGINE].schedules.all, caller.tenant)
    found = [schedule for schedule in every if caller.may_use_chain(schedule.chain)]
    now = time.time()
    shown = [schedule.shown(now, await request.app[ENGINE].stopped(schedule)) for schedule in found]
    return answer({"object": "list", "data": shown})


async def get(request: web.Request) -> web.StreamResponse:
    """One schedule."""
    return await _shown(request)


async def pause(request: web.Request) -> web.StreamResponse:
    """Start no runs until it is resumed."""
    return await _paused(request, paused=True)


async def resume(request: web.Request) -> web.StreamResponse:
    """Start runs again; the times in between are left out."""
    return await _paused(request, paused=False)


async def trigger(request: web.Request) -> web.StreamResponse:
    """Start a run now, in the name of whoever asks: with its models, and on its budget."""
    schedule, service = await _found(request), request.app[ENGINE]
    inputs = msgspec.json.decode(schedule.inputs)
    caller = request[CALLER]
    check_starts(caller)
    row, _ = await service.start(caller, schedule.chain, inputs, service.run_id(caller, None))
    (run,) = await service.shown(row)
    return answer(run, 202)


async def delete(request: web.Request) -> web.StreamResponse:
    """Remove one; its runs go on."""
    name = (await _found(request)).name
    if not await asyncio.to_thread(request.app[ENGINE].schedules.delete, request[CALLER].tenant, name):
        raise _unknown(name)
    return answer({"id": name, "object": "chain.schedule", "deleted": True})


async def _found(request: web.Request) -> Schedule:
    name = request.match_info["name"]
    found = await asyncio.to_thread(request.app[ENGINE].schedules.get, request[CALLER].tenant, name)
    if found is None or not request[CALLER].may_use_chain(found.chain):
        raise _unknown(name)
    return found


async def _paused(request: web.Request, *, paused: bool) -> web.Response:
    schedules, tenant = request.app[ENGINE].schedules, request[CALLER].tenant
    name = (await _found(request)).name
    if not await asyncio.to_thread(schedules.change, tenant, name, paused=paused, seen=time.time()):
        raise _unknown(name)
    return await _shown(request)


async def _shown(request: web.Request) -> web.Response:
    schedule = await _found(request)
    return answer(schedule.shown(time.time(), await request.app[ENGINE].stopped(schedule)))


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no schedule '{name[:100]}'.")


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    one = "/v1/schedules/{name}"
    return [
        web.get("/v1/schedules", framed("schedules", list_schedules)),
        web.get(one, framed("schedule", get)),
        web.put(one, framed("schedule_put", put)),
        web.delete(one, framed("schedule_delete", delete)),
        web.post(f"{one}/pause", framed("schedule_pause", pause)),
        web.post(f"{one}/resume", framed("schedule_resume", resume)),
        web.post(f"{one}/trigger", framed("schedule_trigger", trigger)),
    ]
