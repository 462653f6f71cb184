"""`/admin/features`: switches that every node follows within a second. Needs the scope `admin`."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest
from intellirouter.inference.switches import Switch
from intellirouter.roles.router.keys import SWITCHES
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint

_FIELDS = ("share", "keys", "teams", "on")


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def shown(request: web.Request) -> web.StreamResponse:
    """Every switch: the share of requests it is on for, for whom, and who said so."""
    return _json({"object": "list", "data": request.app[SWITCHES].shown()})


async def change(request: web.Request) -> web.StreamResponse:
    """Switch a feature, or `all`: `{"on": true}`, `{"on": false}`, `{"share": 0.1, "keys": […], "teams": […]}`."""
    body = await read_json(request)
    return await _set(request, _switch(body))


async def take_back(request: web.Request) -> web.StreamResponse:
    """As the configuration file has it again."""
    return await _set(request, None)


async def _set(request: web.Request, switch: Switch | None) -> web.StreamResponse:
    switches, name = request.app[SWITCHES], request.match_info["feature"]
    before = {row["feature"]: row for row in switches.shown()}
    await switches.set(name, switch)
    after = {row["feature"]: row for row in switches.shown()}
    noted(request, on=f"feature:{name}", before=before, after=after)
    return await shown(request)


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
            or len(value) > 1_000
            or not all(isinstance(one, str) for one in value)
        ):
            raise InvalidRequest(f"'{field}' is a list of texts.", param=field)
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
