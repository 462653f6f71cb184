"""`/v1/conversations`: what is kept of the caller's conversations."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import NotFound
from intellirouter.roles.router.keys import CONVERSATIONS
from intellirouter.web.endpoint import CALLER, endpoint

MAX_LISTED = 1_000


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def list_conversations(request: web.Request) -> web.StreamResponse:
    """The ids of the caller's tenant, at most 1,000."""
    names: list[str] = []
    async for name in request.app[CONVERSATIONS].names(request[CALLER].tenant):
        names.append(name)
        if len(names) == MAX_LISTED:
            break
    data = [{"id": name, "object": "conversation"} for name in sorted(names)]
    return _json({"object": "list", "data": data, "has_more": len(names) == MAX_LISTED})


async def get_conversation(request: web.Request) -> web.StreamResponse:
    """Every turn that is kept, oldest first."""
    name = request.match_info["id"]
    turns = await request.app[CONVERSATIONS].turns(request[CALLER].tenant, name)
    if not turns:
        raise NotFound(f"There is no conversation '{name[:128]}'.")
    return _json({"id": name, "object": "conversation", "turns": msgspec.to_builtins(turns)})


async def delete_conversation(request: web.Request) -> web.StreamResponse:
    """Forget one."""
    name = request.match_info["id"]
    await request.app[CONVERSATIONS].delete(request[CALLER].tenant, name)
    return _json({"id": name, "object": "conversation.deleted", "deleted": True})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [
        web.get("/v1/conversations", endpoint("conversations", list_conversations, encode_error)),
        web.get("/v1/conversations/{id}", endpoint("conversation", get_conversation, encode_error)),
        web.delete(
            "/v1/conversations/{id}", endpoint("conversation_delete", delete_conversation, encode_error)
        ),
    ]
