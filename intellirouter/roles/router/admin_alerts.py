"""`/admin/alerts`: what is not as it should be, who has taken it on, and what is kept silent."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.alerts.desk import Desk
from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest
from intellirouter.roles.keys import ALERTS
from intellirouter.roles.router.records_query import whole
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, endpoint

MOST_HISTORY = 500
_SILENCE = frozenset({"rule", "subject", "seconds", "note"})


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _desk(request: web.Request) -> Desk:
    return request.app[ALERTS]


async def shown(request: web.Request) -> web.StreamResponse:
    """Alerts that fire or are about to, the worst first; silences, channels, and the rules that are judged."""
    return _json(await _desk(request).listing())


async def history(request: web.Request) -> web.StreamResponse:
    """What happened, the latest first; `?limit=` (100)."""
    limit = whole(request.query, "limit", 100, 1, MOST_HISTORY)
    return _json({"object": "list", "data": await _desk(request).history(limit)})


async def acknowledge(request: web.Request) -> web.StreamResponse:
    """Take an alert on, by its id: no further step, no repeat, until it gets worse. `{"note": "…"}` may say why."""
    body = await read_json(request) if request.can_read_body else {}
    note = fields.text(body, "note") or ""
    taken = await _desk(request).acknowledge(request.match_info["alert"], _who(request), note)
    noted(request, on=f"alert:{taken['rule']} {taken['subject']}".strip())
    return _json(taken)


async def silence(request: web.Request) -> web.StreamResponse:
    """Tell nobody of what matches `rule` and `subject` (`*` any letters) for `seconds`; `note` says why."""
    body = await read_json(request)
    for field in body:
        if field not in _SILENCE:
            raise InvalidRequest(
                f"A silence has no field '{field[:60]}'. Fields: {', '.join(sorted(_SILENCE))}.",
                param=field[:60],
            )
    rule, subject = fields.name(body, "rule") or "*", fields.name(body, "subject") or "*"
    seconds = fields.number(body, "seconds")
    if seconds is None:
        fields.missing("seconds")
    made = await _desk(request).silence(
        rule, subject, seconds, _who(request), fields.text(body, "note") or ""
    )
    noted(request, on=f"silence:{made.id}", after=msgspec.to_builtins(made))
    return _json(msgspec.to_builtins(made), 201)


async def end_silence(request: web.Request) -> web.StreamResponse:
    """Take a silence back."""
    ended = await _desk(request).end_silence(request.match_info["silence"], _who(request))
    noted(request, on=f"silence:{ended.id}", before=msgspec.to_builtins(ended))
    return _json(msgspec.to_builtins(ended))


async def test(request: web.Request) -> web.StreamResponse:
    """Send a message that says it is a test, by `{"channel": "…"}` or by every channel, and say what came of it."""
    body = await read_json(request) if request.can_read_body else {}
    found = await _desk(request).test(fields.name(body, "channel"))
    return _json({"object": "list", "data": found})


def _who(request: web.Request) -> str:
    return request[CALLER].key_id


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/alerts", shown),
        ("GET", "/admin/alerts/history", history),
        ("POST", "/admin/alerts/test", test),
        ("POST", "/admin/alerts/silences", silence),
        ("DELETE", "/admin/alerts/silences/{silence}", end_silence),
        ("POST", "/admin/alerts/{alert}/acknowledge", acknowledge),
    )
    return [
        web.route(method, path, endpoint(f"admin_alerts_{handler.__name__}", handler, encode_error))
        for method, path, handler in table
    ]
