"""`/v1/triggers`: what starts chains by itself; `/v1/events`: say that something happened; `/v1/webhooks/{hook}`: the addresses of webhooks."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from intellirouter.roles.chain_engine.api import answer, framed, only
from intellirouter.roles.chain_engine.api_runs import priority_of
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.triggers import arriving
from intellirouter.roles.chain_engine.triggers.firing import DEFAULT_PER_MINUTE, check_inputs
from intellirouter.roles.chain_engine.triggers.store import KINDS, Trigger
from intellirouter.web.body import read_body, read_json
from intellirouter.web.endpoint import CALLER

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_PATTERN = re.compile(r"[A-Za-z0-9._/*?-]{1,100}")
_STATUSES = ("succeeded", "failed", "cancelled")
_SHARED = ("kind", "chain", "input", "paused", "max_per_minute", "queue", "priority")
_OWN = {
    "webhook": ("signature", "secret"),
    "event": ("type",),
    "folder": ("folder", "pattern"),
    "run": ("of", "status"),
}
MIN_SECRET, MAX_SECRET = 16, 200


async def put(request: web.Request) -> web.StreamResponse:
    """Make or replace one: `kind` (webhook, event, folder or run), the `chain` it starts, and `input`, in which `{{ event… }}` is filled in.

    A webhook takes `signature` (standard, github or gitlab) and perhaps `secret`; an event its `type`, a folder `folder` and `pattern`, a
    run `of` (the chain whose runs it follows) and `status`. All take `paused`, `max_per_minute`, `queue` and `priority`. The secret of a
    webhook is in this answer and never again; replacing one without a `secret` keeps it.
    """
    service, caller, name = request.app[ENGINE], request[CALLER], request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise InvalidRequest("The name of a trigger has letters, digits, '.', '_' and '-'.", param="name")
    body = await read_json(request)
    kind = fields.one_of(body, "kind", set(KINDS))
    if kind is None:
        fields.missing("kind")
    only(body, *_SHARED, *_OWN[kind])
    chain = fields.required_text(body, "chain")
    await service.library.get(caller, chain)
    inputs = fields.mapping(body, "input")
    check_inputs(inputs)
    service.line.checked(fields.text(body, "queue"))
    spec = {**_READERS[kind](request, body), **_limits(body)}
    store = service.following.store
    old = await asyncio.to_thread(store.get, caller.tenant, name)
    if old is None:
        await service.room(caller.tenant, "schedules")
    elif not caller.may_use_chain(old.chain):
        raise PermissionDenied(f"The trigger '{name}' starts a chain that you may not use.")
    kept = old if old is not None and old.kind == kind == "webhook" else None
    secret = _secret(body) if kind == "webhook" and (kept is None or "secret" in body) else None
    trigger = Trigger(
        caller.tenant,
        name,
        kind,
        chain,
        msgspec.json.encode(spec),
        None if inputs is None else msgspec.json.encode(inputs),
        msgspec.json.encode(caller.owner()),
        kept.hook if kept else secrets.token_hex(16),
        secret.encode() if secret else (kept.secret if kept else None),
        bool(fields.boolean(body, "paused")),
        old.created if old else time.time(),
    )
    new = await asyncio.to_thread(store.put, trigger)
    await service.following.refresh()
    shown = trigger.shown()
    if kind == "webhook":
        shown["url"] = str(request.url.origin().with_path(shown["path"]))
        if secret:
            shown["secret"] = secret
    return answer(shown, 201 if new else 200)


def _limits(body: Json) -> Json:
    most = fields.integer(body, "max_per_minute", least=1)
    found: Json = {"max_per_minute": most or DEFAULT_PER_MINUTE}
    if (queue := fields.text(body, "queue")) is not None:
        found["queue"] = queue
    if (priority := priority_of(body)) is not None:
        found["priority"] = priority
    return found


def _webhook(_request: web.Request, body: Json) -> Json:
    return {"signature": fields.one_of(body, "signature", arriving.SIGNATURES) or "standard"}


def _event(_request: web.Request, body: Json) -> Json:
    return {"type": _pattern(body, "type")}


def _folder(request: web.Request, body: Json) -> Json:
    name, known = fields.required_text(body, "folder"), request.app[ENGINE].section.folders
    mine = sorted(
        key for key, folder in known.items() if not folder.tenants or request[CALLER].tenant in folder.tenants
    )
    if name not in mine:
        listed = ", ".join(mine) or "none"
        raise InvalidRequest(
            f"There is no folder '{name[:60]}' (chain_engine.folders): {listed}.", param="folder"
        )
    return {"folder": name, "pattern": _pattern(body, "pattern") if "pattern" in body else "*"}


def _run(_request: web.Request, body: Json) -> Json:
    status = fields.strings(body, "status") or ("succeeded",)
    if wrong := [each for each in status if each not in _STATUSES]:
        raise InvalidRequest(f"'status' is of {', '.join(_STATUSES)}, not '{wrong[0][:40]}'.", param="status")
    return {"of": _pattern(body, "of"), "status": sorted(set(status))}


_READERS: dict[str, Callable[[web.Request, Json], Json]] = {
    "webhook": _webhook,
    "event": _event,
    "folder": _folder,
    "run": _run,
}


def _pattern(body: Json, name: str) -> str:
    text = fields.required_text(body, name)
    if not _PATTERN.fullmatch(text):
        raise InvalidRequest(
            f"'{name}' is a name, or a pattern such as 'order.*', of at most 100 characters.", param=name
        )
    return text


def _secret(body: Json) -> str:
    given = fields.text(body, "secret")
    if given is None:
        return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    if not MIN_SECRET <= len(given) <= MAX_SECRET:
        raise InvalidRequest(f"'secret' has {MIN_SECRET} to {MAX_SECRET} characters.", param="secret")
    return given


async def listed(request: web.Request) -> web.StreamResponse:
    """Every trigger of the tenant."""
    service = request.app[ENGINE]
    caller = request[CALLER]
    every = await asyncio.to_thread(service.following.store.all, caller.tenant)
    found = [trigger for trigger in every if caller.may_use_chain(trigger.chain)]
    shown = [trigger.shown(await service.stopped(trigger)) for trigger in found]
    return answer({"object": "list", "data": shown})


async def get(request: web.Request) -> web.StreamResponse:
    """One trigger."""
    return await _shown(request)


async def pause(request: web.Request) -> web.StreamResponse:
    """Start nothing until it is resumed."""
    return await _paused(request, paused=True)


async def resume(request: web.Request) -> web.StreamResponse:
    """Start runs again."""
    return await _paused(request, paused=False)


async def delete(request: web.Request) -> web.StreamResponse:
    """Remove one; its runs go on, its address is gone."""
    service, name = request.app[ENGINE], (await _found(request)).name
    if not await asyncio.to_thread(service.following.store.delete, request[CALLER].tenant, name):
        raise _unknown(name)
    await service.following.refresh()
    return answer({"id": name, "object": "chain.trigger", "deleted": True})


async def happened(request: web.Request) -> web.StreamResponse:
    """Say that something happened: `type`, `data`, and perhaps `id`, with which it starts nothing twice.

    It starts chains that the caller may use, and no others.
    """
    body = only(await read_json(request, arriving.MAX_BODY), "type", "data", "id")
    kind = fields.required_text(body, "type")
    if not _TYPE.fullmatch(kind):
        raise InvalidRequest(
            "'type' is a name such as 'order.paid', of at most 100 characters.", param="type"
        )
    number = fields.text(body, "id") or f"evt_{secrets.token_hex(12)}"
    if not 0 < len(number) <= arriving.MAX_ID:
        raise InvalidRequest(f"'id' has 1 to {arriving.MAX_ID} characters.", param="id")
    following = request.app[ENGINE].following
    caller = request[CALLER]
    runs = await following.happened(caller.tenant, kind, number, body.get("data"), caller.may_use_chain)
    return answer({"id": number, "object": "chain.event", "type": kind, "runs": runs}, 202)


async def arrived(request: web.Request) -> web.StreamResponse:
    """A webhook's address: what is signed with its secret starts a run, once for each delivery."""
    service = request.app[ENGINE]
    trigger = await asyncio.to_thread(service.following.store.by_hook, request.match_info["hook"][:64])
    if trigger is None or trigger.secret is None:
        raise NotFound("There is no such webhook.")
    body = await read_body(request, arriving.MAX_BODY)
    headers = {name.lower(): value for name, value in request.headers.items()}
    signature = trigger.settings()["signature"]
    secret = trigger.secret.decode()
    arriving.check(signature, secret, headers, body)
    if trigger.paused:
        raise Conflict("This webhook is paused.")
    number = arriving.delivery(signature, headers, body)
    event = {"id": number, **arriving.event(headers, request.query, body)}
    row, new = await service.following.firing.fire(trigger, number, event)
    told = None if new else {"idempotent-replayed": "true"}
    return answer({"id": number, "run": row.run_id, "new": new}, 202, told)


async def _found(request: web.Request) -> Trigger:
    name = request.match_info["name"]
    found = await asyncio.to_thread(request.app[ENGINE].following.store.get, request[CALLER].tenant, name)
    if found is None or not request[CALLER].may_use_chain(found.chain):
        raise _unknown(name)
    return found


async def _paused(request: web.Request, *, paused: bool) -> web.Response:
    service, name = request.app[ENGINE], (await _found(request)).name
    store, tenant = service.following.store, request[CALLER].tenant
    if not await asyncio.to_thread(lambda: store.change(tenant, name, paused=paused)):
        raise _unknown(name)
    await service.following.refresh()
    return await _shown(request)


async def _shown(request: web.Request) -> web.Response:
    trigger: Any = await _found(request)
    return answer(trigger.shown(await request.app[ENGINE].stopped(trigger)))


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no trigger '{name[:100]}'.")


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    one = "/v1/triggers/{name}"
    return [
        web.get("/v1/triggers", framed("triggers", listed)),
        web.get(one, framed("trigger", get)),
        web.put(one, framed("trigger_put", put)),
        web.delete(one, framed("trigger_delete", delete)),
        web.post(f"{one}/pause", framed("trigger_pause", pause)),
        web.post(f"{one}/resume", framed("trigger_resume", resume)),
        web.post("/v1/events", framed("event", happened)),
        web.post("/v1/webhooks/{hook}", framed("webhook", arrived)),
    ]
