"""`/admin/features`: switches that every node follows within a second. Needs the scope `admin`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest
from intellirouter.inference.switches import Switch
from intellirouter.roles.keys import KEY_RING
from intellirouter.roles.router.keys import SWITCHES
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint

_FIELDS = ("share", "keys", "teams", "on")
_MAX_NAMES, _MAX_NAME = 1_000, 128


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def shown(request: web.Request) -> web.StreamResponse:
    """Every switch: the share of requests it is on for, for whom, and who said so."""
    return _json({"object": "list", "data": request.app[SWITCHES].shown()})


async def change(request: web.Request) -> web.StreamResponse:
    """Switch a feature, or `all`: `{"on": true}`, `{"on": false}`, `{"share": 0.1, "keys": […], "teams": […]}`.

    `unknown` in the answer names the keys and teams that nobody here has: it holds for them once somebody does.
    """
    body = await read_json(request)
    switch, ring = _switch(body), request.app[KEY_RING]
    names, teams = ring.names(), ring.teams()
    unknown = {
        "keys": [one for one in switch.keys if one not in names],
        "teams": [one for one in switch.teams if one not in teams],
    }
    return await _set(request, switch, {field: of for field, of in unknown.items() if of})


async def take_back(request: web.Request) -> web.StreamResponse:
    """As the configuration file has it again."""
    return await _set(request, None)


async def _set(
    request: web.Request, switch: Switch | None, unknown: Mapping[str, list[str]] | None = None
) -> web.StreamResponse:
    switches, name = request.app[SWITCHES], request.match_info["feature"]
    before = {row["feature"]: row for row in switches.shown()}
    await switches.set(name, switch)
    after = {row["feature"]: row for row in switches.shown()}
    noted(request, on=f"feature:{name}", before=before, after=after)
    return _json(
        {"object": "list", "data": list(after.values()), **({"unknown": unknown} if unknown else {})}
    )


def _switch(body: dict[str, object]) -> Switch:
    for field in body:
        if field not in _FIELDS:
            raise InvalidRequest(
                f"A switch has no field '{field[:60]}'. Fields: {', '.join(_FIELDS)}.", param=field[:60]
            )
    share, on = body.get("share"), body.get("on")
    if isinstance(on, bool) and share is None:
        share = float(on)
    if (
        isinstance(share, bool)
        or not isinstance(share, (int, float))
        or not 0 <= share <= 1
        or math.isnan(share)
    ):
        raise InvalidRequest("'on' is true or false, or 'share' a number from 0 to 1.", param="share")
    names = []
    for field in ("keys", "teams"):
        value = body.get(field, [])
        if (
            not isinstance(value, list)
            or len(value) > _MAX_NAMES
            or not all(
                isinstance(one, str) and one.strip() and one.isprintable() and len(one) <= _MAX_NAME
                for one in value
            )
        ):
            raise InvalidRequest(
                f"'{field}' is a list of at most {_MAX_NAMES:,} names, each of 1 to {_MAX_NAME} characters.",
                param=field,
            )
        names.append(tuple(value))
    return Switch(float(share), *names)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/features", shown),
        ("PUT", "/admin/features/{feature}", change),
        ("DELETE", "/admin/features/{feature}", take_back),
    )
    return [
        web.route(method, path, endpoint(f"admin_features_{handler.__name__}", handler, encode_error))
        for method, path, handler in table
    ]
