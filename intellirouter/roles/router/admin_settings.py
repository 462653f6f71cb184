"""`/admin/settings`: what is set at run time on top of the file, in versions. Needs `admin:settings:read` and `admin:settings:write`."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.config.overlay import Overlay, masked, places_named
from intellirouter.errors import InvalidRequest, PermissionDenied
from intellirouter.inference.runtime_settings import Version, merged
from intellirouter.roles.keys import RUNTIME
from intellirouter.roles.router.admin_people import giver_of
from intellirouter.security.permissions import EVERYTHING
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, endpoint

_FIELDS = frozenset({"settings", "note", "version", "dry_run"})


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def shown(request: web.Request) -> web.StreamResponse:
    """The version in force, what it sets, and `in_force`: each key that is another than in the file."""
    settings = request.app[RUNTIME]
    keys = await asyncio.to_thread(settings.in_force)
    return _json(
        {"object": "settings", **settings.current.shown(), "in_force": keys, "failing": settings.failing}
    )


async def put(request: web.Request) -> web.StreamResponse:
    """Set these in place of what was set before: `{"settings": {…as the file has it…}, "note": "why", "version": 3, "dry_run": false}`.

    All of it holds, or nothing is changed. `version` is the one it was made from; another by now is a 409.
    """
    body = await _body(request)
    return await _changed(request, body, lambda _before: body["settings"])


async def patch(request: web.Request) -> web.StreamResponse:
    """The same, on top of what was set before."""
    body = await _body(request)
    return await _changed(request, body, lambda before: merged(before, body["settings"]))


async def history(request: web.Request) -> web.StreamResponse:
    """Every version: who, when, why and what it changed; the newest first. At most 200 are kept."""
    found = await request.app[RUNTIME].history()
    return _json({"object": "list", "data": [one.shown(whole=False) for one in found]})


async def version(request: web.Request) -> web.StreamResponse:
    """One version, with all it sets."""
    found = await request.app[RUNTIME].version(_number(request.match_info["version"]))
    return _json({"object": "settings.version", **found.shown()})


async def roll_back(request: web.Request) -> web.StreamResponse:
    """`{"version": 3}`: set what that version set, as a new one; 0 is the file alone."""
    body = await read_json(request)
    number = body.get("version")
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidRequest("'version' is a number, 0 for the file alone.", param="version")
    old = await request.app[RUNTIME].version(number)
    note = fields.text(body, "note") or f"back to version {number}"
    return await _changed(request, {"note": note}, lambda _before: old.settings)


async def _body(request: web.Request) -> dict[str, Any]:
    body = await read_json(request)
    for name in body:
        if name not in _FIELDS:
            raise InvalidRequest(
                f"Settings have no field '{name[:60]}'. Fields: {', '.join(sorted(_FIELDS))}.",
                param=name[:60],
            )
    if not isinstance(body.get("settings"), dict):
        raise InvalidRequest("'settings' is a table, as the configuration file has them.", param="settings")
    return body


async def _changed(request: web.Request, body: dict[str, Any], make: Any) -> web.StreamResponse:
    expected, dry_run = body.get("version"), body.get("dry_run", False)
    if expected is not None and (isinstance(expected, bool) or not isinstance(expected, int)):
        raise InvalidRequest("'version' is a number.", param="version")
    if not isinstance(dry_run, bool):
        raise InvalidRequest("'dry_run' is true or false.", param="dry_run")
    whole = giver_of(request).held >= EVERYTHING

    def made(before: Overlay) -> Overlay:
        after: Overlay = make(before)
        if not whole:
            known = places_named(before)
            _check_places([one for one in places_named(after) if one not in known])
        return after

    before, new = await request.app[RUNTIME].change(
        made,
        who=request[CALLER].key_id,
        note=fields.text(body, "note") or "",
        expected=expected,
        dry_run=dry_run,
    )
    if not dry_run:
        noted(request, on=f"settings:{new.version}", before=_flat(before), after=_flat(new))
    return _json({"object": "settings.version", "dry_run": dry_run, **new.shown()})


def _check_places(new: list[Any]) -> None:
    """Raises `PermissionDenied` for places of secrets: what the node may read there would be sent wherever a provider is said to be."""
    if new:
        raise PermissionDenied(
            "Who does not hold everything gives secrets as they are, and names no place (file, variable, vault) that the node reads."
        )


def _flat(version: Version) -> dict[str, Any]:
    return masked(version.settings)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise InvalidRequest("A version is a number.", param="version")
    return int(text)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/settings", "settings_shown", shown),
        ("PUT", "/admin/settings", "settings_put", put),
        ("PATCH", "/admin/settings", "settings_patch", patch),
        ("GET", "/admin/settings/history", "settings_history", history),
        ("GET", "/admin/settings/history/{version}", "settings_version", version),
        ("POST", "/admin/settings/rollback", "settings_roll_back", roll_back),
    )
    return [
        web.route(method, path, endpoint(f"admin_{name}", handler, encode_error))
        for method, path, name, handler in table
    ]
