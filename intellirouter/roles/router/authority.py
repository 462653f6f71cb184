"""`POST /ipc/v1/caller`: another role asks who a key is now, before it acts on work that the key left with it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.peers.documents import caller_document, owner_of
from intellirouter.peers.http_chat import CALLER_PATH
from intellirouter.roles.keys import KEY_RING
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


async def caller_of(request: web.Request) -> web.StreamResponse:
    """The caller as the ring has it. 403 `key_ended` where it may not act any more."""
    caller = request.app[KEY_RING].caller_of(owner_of(await read_json(request)))
    return web.Response(body=msgspec.json.encode(caller_document(caller)), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """The endpoint of this module."""
    return [web.post(CALLER_PATH, endpoint("caller", caller_of, encode_error))]
