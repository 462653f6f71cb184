"""`/admin/…`: keys, spend, the response cache, and how targets stand. Needs the scope `admin`."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from intellirouter.bounds import names
from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.config.shown import flatten
from intellirouter.errors import Conflict, InvalidRequest, PermissionDenied
from intellirouter.inference.limits.ledger import KINDS, day_name
from intellirouter.inference.limits.standing import MOST
from intellirouter.inference.limits.terms import PERIODS
from intellirouter.inference.virtual_keys import GRACE_SECONDS, VirtualKey, make_key
from intellirouter.roles.keys import AUDITOR, KEY_RING, KEYS, LOADED, PEOPLE
from intellirouter.roles.router.admin_people import check_joined, check_owner, check_tenant, giver_of
from intellirouter.roles.router.keys import BOARD, CACHE, GOVERNOR, LEDGER, OUTCOMES
from intellirouter.roles.router.records_query import whole
from intellirouter.security.caller import ANONYMOUS, Caller
from intellirouter.security.fence import problem_of
from intellirouter.security.giving import exceeding
from intellirouter.security.policy import Policy, no_role
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint

MOST_A_MINUTE = 10**12
MOST_DAYS = 366
MOST_PRIORITY = 10**6
"""The databases that runs wait in for their turn take 32 bits."""
END_OF_TIME = 253_402_300_800.0
"""The end of the year 9999, behind which there are no dates to write."""
UNCHANGEABLE = frozenset({"name", "tenant"})
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def list_keys(request: web.Request) -> web.StreamResponse:
    """Every virtual key, without its secret."""
    keys = await request.app[KEYS].all()
    return _json({"object": "list", "data": [key.shown() for key in keys]})


async def create_key(request: web.Request) -> web.StreamResponse:
    """A new key. The answer is the only place its secret is ever shown."""
    key, secret = make_key(**key_fields(await read_json(request)))
    await _check_key(request, key)
    if request.app[KEY_RING].has_configured(key.name):  # limits, budgets and spending go by the name
        raise Conflict(f"The configuration has a key named '{key.name}'.", param="name")
    await request.app[KEYS].create(key)
    noted(request, on=_key(key), after=key.shown())
    return _json({**key.shown(), "secret": secret}, 201)


async def _check_key(request: web.Request, key: VirtualKey) -> None:
    """Raises `PermissionDenied` for a key that may more than who makes it, `InvalidRequest` for an owner that is not there."""
    ring, giver = request.app[KEY_RING], giver_of(request)
    for role in key.roles:
        if role not in ring.policy.roles:
            raise InvalidRequest(f"'roles': {no_role(role, ring.policy)}", param="roles")
    check_tenant(key.tenant, giver)
    if beyond := exceeding(_may(key, ring.policy), giver):
        raise PermissionDenied(f"You cannot give a key more than you hold yourself ({beyond}).")
    if key.team:
        check_joined(request, (key.team,))
    if key.owner:
        check_owner(await request.app[PEOPLE].account(key.owner), key.tenant)


def _may(key: VirtualKey, policy: Policy) -> Caller:
    """What a key may by itself, whoever's it is."""
    if not key.roles:
        return key.caller()
    permissions, grants = policy.granted(key.roles, key.tenant)
    return replace(key.caller(), permissions=permissions, grants=grants)


async def _changeable(request: web.Request) -> VirtualKey:
    """The key of the path. Raises `PermissionDenied` where it may more than the caller: nobody takes it from who stands above them."""
    key, giver = await request.app[KEYS].find(request.match_info["key"]), giver_of(request)
    check_tenant(key.tenant, giver)
    if beyond := exceeding(_may(key, request.app[KEY_RING].policy), giver):
        raise PermissionDenied(
            f"You cannot change the key '{key.name}': it holds more than you do ({beyond})."
        )
    return key


async def rotate_key(request: web.Request) -> web.StreamResponse:
    """A new secret for a key; the old one stays good for `grace_seconds`."""
    body = await read_json(request) if request.can_read_body else {}
    grace = fields.number(body, "grace_seconds")
    await _check_key(request, await request.app[KEYS].find(request.match_info["key"]))  # its secret is told
    before = await _before(request)
    key, secret = await request.app[KEYS].rotate(
        request.match_info["key"], GRACE_SECONDS if grace is None else max(0.0, grace)
    )
    noted(request, on=_key(key), before=before, after=key.shown())
    return _json({**key.shown(), "secret": secret})


async def revoke_key(request: web.Request) -> web.StreamResponse:
    """End a key at once."""
    return await _changed(request, request.app[KEYS].revoke)


async def update_key(request: web.Request) -> web.StreamResponse:
    """Change what a key may: the fields of the body, `null` for what a new key has; all else stays."""
    body = await read_json(request)
    for name in UNCHANGEABLE & body.keys():
        raise InvalidRequest(f"'{name}' of a key cannot be changed: make another one.", param=name)
    defaults = msgspec.structs.asdict(make_key("x")[0])
    given = {name: defaults.get(name) if value is None else value for name, value in body.items()}
    checked = key_fields({**given, "name": "x"})
    del checked["name"]
    await _check_key(request, msgspec.structs.replace(await _changeable(request), **checked))
    return await _changed(request, partial(request.app[KEYS].update, **checked))


async def block_key(request: web.Request) -> web.StreamResponse:
    """Take nothing from a key, and let nothing go on in its name, until it is unblocked."""
    return await _changed(request, request.app[KEYS].block)


async def unblock_key(request: web.Request) -> web.StreamResponse:
    """Take a blocked key again."""
    await _check_key(request, await request.app[KEYS].find(request.match_info["key"]))  # given anew
    return await _changed(request, request.app[KEYS].unblock)


async def _changed(request: web.Request, change: Callable[[str], Awaitable[VirtualKey]]) -> web.Response:
    """The key as it is after the change, which the audit is told of."""
    await _changeable(request)
    before = await _before(request)
    key = await change(request.match_info["key"])
    noted(request, on=_key(key), before=before, after=key.shown())
    return _json(key.shown())


async def _before(request: web.Request) -> dict[str, object] | None:
    """The key as it is, for the audit alone."""
    if request.app[AUDITOR] is None:
        return None
    return (await request.app[KEYS].find(request.match_info["key"])).shown()


def _key(key: VirtualKey) -> str:
    return f"key:{key.id} {key.name}"


def key_fields(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a new key, checked. Raises `InvalidRequest` naming the field."""
    known = frozenset(VirtualKey.__struct_fields__) - {
        "id",
        "sha256",
        "hint",
        "created",
        "blocked",
        "revoked",
        "previous",
        "previous_until",
    }
    for name in body:
        if name not in known:
            raise InvalidRequest(
                f"A key has no field '{name[:60]}'. Fields: {', '.join(sorted(known))}.", param=name[:60]
            )
    if not isinstance(body.get("name"), str) or not body["name"].strip():
        raise InvalidRequest("'name' is needed: a short text.", param="name")
    probe, _ = make_key(body["name"], **({"scopes": body["scopes"]} if "scopes" in body else {}))
    try:
        made = msgspec.convert(msgspec.to_builtins(probe) | body, VirtualKey)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The key is not as it should be: {error}.") from error
    _named(made)
    for name in ("requests_per_minute", "tokens_per_minute"):
        if (rate := body.get(name)) is not None and not 0 <= rate <= MOST_A_MINUTE:
            raise InvalidRequest(
                f"'{name}' is 0 (none at all) to {MOST_A_MINUTE}; left out, there is no limit.", param=name
            )
    _check_numbers(made)
    if (fence := made.fence()) is not None and (problem := problem_of(fence)) is not None:
        raise InvalidRequest(f"'{problem[0]}': {problem[1]}", param=problem[0])
    for period, limit in body.get("budgets", {}).items():
        if period not in PERIODS or not 0 <= limit < math.inf:  # false of what is no number, too
            raise InvalidRequest(
                f"'budgets' takes {', '.join(PERIODS)} with US dollars, 0 for none at all.", param="budgets"
            )
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}


def _check_numbers(key: VirtualKey) -> None:
    """Raises `InvalidRequest` for moments that cannot be written, and priorities that no database takes."""
    for name, when in (("expires", key.expires), ("not_before", key.not_before)):
        if when is not None and not 0 <= when < END_OF_TIME:
            raise InvalidRequest(f"'{name}' is a moment in Unix seconds, before the year 10000.", param=name)
    if abs(key.priority) > MOST_PRIORITY:
        raise InvalidRequest(f"'priority' is between -{MOST_PRIORITY} and {MOST_PRIORITY}.", param="priority")


def _named(key: VirtualKey) -> None:
    """What a key is called, and what it names: it stands in rows, labels and lines of logs. Raises `InvalidRequest`."""
    for field, value in (("name", key.name), ("tenant", key.tenant), ("team", key.team)):
        if value is not None and not (value.strip() == value != "" and value.isprintable()):
            raise InvalidRequest(
                f"'{field}' is a text of one line, with nothing before and behind it.", param=field
            )
        names.name(value, field)
    for field, values in (
        ("models", key.models),
        ("endpoints", key.endpoints),
        ("collections", key.collections),
        ("addresses", key.addresses),
    ):
        names.names(values, field)


async def spend(request: web.Request) -> web.StreamResponse:
    """What was spent: `?by=key|team|model`, `?day=2026-11-20` or `?days=7` (the last ones, today included)."""
    kind = request.query.get("by", "key")
    if kind not in KINDS:
        raise InvalidRequest(f"'by' is one of {', '.join(KINDS)}.", param="by")
    ledger = request.app[LEDGER]
    days = _days(request)
    rows = {day: await ledger.read(day, kind) for day in days}
    total = sum(row["usd"] for listed in rows.values() for row in listed)
    return _json({"object": "spend", "by": kind, "total_usd": round(total, 10), "days": rows})


async def budgets(request: web.Request) -> web.StreamResponse:
    """How the budgets stand: of keys, accounts, teams, tags and end users, with what is used of each in its period.

    Tags and users have one in each tenant: of those of the keys, or of `?tenant=`.
    """
    named = request.query.get("tenant")
    ring = request.app[KEY_RING]
    tenants = {named} if named else {ANONYMOUS.tenant, *ring.tenants()}
    found = await request.app[GOVERNOR].standings(tenants, ring.budgeted())
    told = [msgspec.to_builtins(one) for one in found]
    return _json({"object": "list", "data": told, "truncated": len(found) >= MOST})


def _days(request: web.Request) -> list[str]:
    day = request.query.get("day")
    if day is not None:
        if not _DAY.fullmatch(day):
            raise InvalidRequest("'day' reads 2026-11-20.", param="day")
        return [day]
    return [
        day_name(time.time() - back * 86_400) for back in range(whole(request.query, "days", 1, 1, MOST_DAYS))
    ]


async def persona_outcomes(request: web.Request) -> web.StreamResponse:
    """How each version of a shared persona does; with `?tenant=`, of one of that tenant's own."""
    name, tenant = request.match_info["name"], request.query.get("tenant")
    counted = name if tenant is None else f"{quote(tenant, safe='')}/{name}"
    return _json({"object": "list", "persona": name, "data": await request.app[OUTCOMES].read(counted)})


async def configuration(request: web.Request) -> web.StreamResponse:
    """Every value of the node's configuration and where it came from; secrets are masked."""
    loaded = request.app[LOADED]()
    rows = [
        {"key": key, "value": value, "source": loaded.source_of(key)}
        for key, value in flatten(loaded.settings)
    ]
    return _json({"object": "list", "file": str(loaded.file or ""), "data": rows})


async def cache_stats(request: web.Request) -> web.StreamResponse:
    """Hits, misses and size of this process' response cache."""
    return _json(request.app[CACHE].shown())


async def clear_cache(request: web.Request) -> web.StreamResponse:
    """Forget every kept answer."""
    return _json({"cleared": await request.app[CACHE].clear()})


async def targets(request: web.Request) -> web.StreamResponse:
    """How every target that was asked stands: circuit, calls under way, latency, rest."""
    board = request.app[BOARD]
    now = board.clock()
    rows = [
        {
            "id": name,
            "circuit": standing.circuit.state(now),
            "probe_in_seconds": round(standing.circuit.opens_in(now), 1),
            "calls": standing.load,
            "latency_ms": None if standing.latency is None else round(standing.latency * 1e3, 1),
            "rests_seconds": round(max(0.0, standing.resting_until - now), 1),
        }
        for name, standing in board.known().items()
    ]
    return _json({"object": "list", "data": rows})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/keys", list_keys),
        ("POST", "/admin/keys", create_key),
        ("POST", "/admin/keys/{key}/rotate", rotate_key),
        ("DELETE", "/admin/keys/{key}", revoke_key),
        ("PATCH", "/admin/keys/{key}", update_key),
        ("POST", "/admin/keys/{key}/block", block_key),
        ("POST", "/admin/keys/{key}/unblock", unblock_key),
        ("GET", "/admin/spend", spend),
        ("GET", "/admin/budgets", budgets),
        ("GET", "/admin/targets", targets),
        ("GET", "/admin/personas/{name}/outcomes", persona_outcomes),
        ("GET", "/admin/config", configuration),
        ("GET", "/admin/cache", cache_stats),
        ("DELETE", "/admin/cache", clear_cache),
    )
    return [
        web.route(method, path, endpoint(f"admin_{handler.__name__}", handler, encode_error))
        for method, path, handler in table
    ]
