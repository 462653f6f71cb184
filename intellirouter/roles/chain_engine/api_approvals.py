"""`/v1/approvals`: runs that wait for a person; links to their forms, and the page behind such a link."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import web

from intellirouter.chains.parts import seconds as seconds_of
from intellirouter.errors import AuthenticationFailed, Conflict, IntelliRouterError, InvalidRequest, NotFound
from intellirouter.roles.chain_engine import steering
from intellirouter.roles.chain_engine.api import answer, framed, only
from intellirouter.roles.chain_engine.approvals.inbox import Asked
from intellirouter.roles.chain_engine.approvals.links import Link
from intellirouter.roles.chain_engine.approvals.page import page, payload, said
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.security.authority import ended
from intellirouter.web.body import read_body, read_json
from intellirouter.web.endpoint import CALLER

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService

ANSWERS = "runs:write"
"""The permission to answer what a run waits for."""
DAY = 86_400.0
LONGEST = 30 * DAY
MAX_FORM = 200_000
MAX_FIELDS = 200
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def listed(request: web.Request) -> web.StreamResponse:
    """The tenant's runs that wait for a signal, the longest wait first: what is asked, of whom, with which form. `assignee` filters."""
    service, caller = request.app[ENGINE], request[CALLER]
    wanted, now = request.query.get("assignee"), time.time()
    found = await asyncio.to_thread(service.inbox.asked, caller.tenant)
    shown = [each.shown(now) for each in found if caller.may_use_chain(each.chain)]
    return answer({"object": "list", "data": [each for each in shown if wanted in (None, each["assignee"])]})


async def link(request: web.Request) -> web.StreamResponse:
    """An address whose page lets whoever has it answer this wait, in the name of the key that makes it; `valid_for` seconds, or 24h (1 day)."""
    service, caller, found = request.app[ENGINE], request[CALLER], request.match_info
    body = only(await read_json(request), "valid_for")
    row = await service.row(caller, found["id"])
    asked = await _asked(service, row.run_id, row.chain, found["name"])
    until = time.time() + _lasts(body)
    made = Link(row.run_id, asked.wait.path, asked.wait.signal, until, caller.owner(), ANSWERS)
    token = await asyncio.to_thread(service.links.token, made)
    url = request.url.origin().with_path(f"/v1/approve/{token}")
    return answer(
        {"object": "chain.link", "url": str(url), "path": url.path, "expires_at": round(until, 3)}, 201
    )


def _lasts(body: dict[str, Any]) -> float:
    given = body.get("valid_for", DAY)
    try:
        lasts = (
            seconds_of(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else 0.0
        )
    except (ValueError, KeyError):
        lasts = 0.0
    if not 0 < lasts <= LONGEST:
        raise InvalidRequest("'valid_for' is seconds, or a text such as 24h; at most 30d.", param="valid_for")
    return lasts


async def shown(request: web.Request) -> web.StreamResponse:
    """The page behind a link."""
    service = request.app[ENGINE]
    try:
        _, asked = await _linked(service, request.match_info["token"])
    except IntelliRouterError as error:
        return _html(said("Nothing is asked here", error.message), error.status)
    return _html(page(asked.shown(time.time())))


async def answered(request: web.Request) -> web.StreamResponse:
    """What was filled in: it goes to the step that waits."""
    service = request.app[ENGINE]
    data = await read_body(request, MAX_FORM)
    try:
        made, asked = await _linked(service, request.match_info["token"])
    except IntelliRouterError as error:
        return _html(said("Nothing is asked here", error.message), error.status)
    told = asked.shown(time.time())
    try:
        filled = dict(
            parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        )
        caller = await service.authority.caller_of(made.owner)
        await steering.signal(service, caller, made.run_id, made.signal, payload(told["form"], filled))
    except (InvalidRequest, ValueError) as error:
        words = error.message if isinstance(error, InvalidRequest) else "The form has too many fields."
        return _html(page(told, words), 400)
    except IntelliRouterError as error:
        return _html(said("This was not taken", error.message), error.status)
    return _html(said("Thank you", "Your answer was handed to the run."))


async def _linked(service: ChainService, token: str) -> tuple[Link, Asked]:
    """The link, and the wait that it answers. Raises `NotFound`, `Conflict`, `KeyEnded`."""
    try:
        made = await asyncio.to_thread(service.links.read, token, time.time())
    except AuthenticationFailed as cause:  # no key would help: there is no such page
        raise NotFound(cause.message) from cause
    caller = await service.authority.caller_of(made.owner)
    if made.asks and not caller.may(made.asks):
        raise ended(made.owner, f"lacks the permission '{made.asks}' now")
    row = await service.row(caller, made.run_id)
    asked = await _asked(service, row.run_id, row.chain, made.signal)
    if asked.wait.path != made.path:
        raise Conflict("The run waits for something else by now.")
    return made, asked


async def _asked(service: ChainService, run_id: str, chain: str, signal: str) -> Asked:
    wait = (await asyncio.to_thread(service.runtime.waits.of, [run_id])).get(run_id)
    if wait is None or wait.signal != signal:
        raise NotFound(f"The run does not wait for '{signal[:100]}' (any more).")
    return Asked(run_id, chain, wait)


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/approvals", framed("approvals", listed, query=("assignee",))),
        web.post("/v1/runs/{id}/signals/{name}/link", framed("approval_link", link)),
        web.get("/v1/approve/{token}", framed("approve_page", shown)),
        web.post("/v1/approve/{token}", framed("approve", answered)),
    ]
