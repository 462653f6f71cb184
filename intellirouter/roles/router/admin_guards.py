"""`/admin/guards`: the guards of this node, and what they make of a text."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.bounds.aside import ASIDE
from intellirouter.chat import fields
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest
from intellirouter.inference.guarding.trying import tried
from intellirouter.roles.router.keys import GUARDS
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint

MAX_TEXT = 1_000_000
"""Characters of a text that is tried."""


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def shown(request: web.Request) -> web.StreamResponse:
    """The guards in the order in which they act. Secrets and words are not told."""
    return _json({"object": "list", "data": request.app[GUARDS].shown()})


async def test(request: web.Request) -> web.StreamResponse:
    """What guards find in a `text`, by place, and what would go to a model. Without `guards` all are tried; nothing is kept of it."""
    body = await read_json(request)
    text = fields.required_text(body, "text")
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"'text' has at most {MAX_TEXT:,} characters.", param="text")
    names = fields.name_list(body, "guards")
    guards = request.app[GUARDS].all
    for name in names:
        if name not in {guard.name for guard in guards}:
            raise InvalidRequest(f"There is no guard '{name}'.", param="guards")
    chosen = [guard for guard in guards if not names or guard.name in names]
    return _json({"object": "guard.test", **await ASIDE.run("admin", lambda: tried(chosen, text))})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (("GET", "/admin/guards", shown), ("POST", "/admin/guards/test", test))
    return [
        web.route(method, path, endpoint(f"admin_guards_{handler.__name__}", handler, encode_error))
        for method, path, handler in table
    ]
