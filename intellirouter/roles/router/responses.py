"""`/v1/responses`: asked, continued, and kept."""

from __future__ import annotations

import dataclasses
from functools import partial

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_responses.format import FORMAT
from intellirouter.chat.openai_responses.history import listed, page
from intellirouter.chat.openai_responses.response import encode_response
from intellirouter.errors import InvalidRequest
from intellirouter.roles.keys import KEEPING
from intellirouter.roles.router.answer import answer, asked_by
from intellirouter.roles.router.counting import counted
from intellirouter.roles.router.kept_responses import Conversation
from intellirouter.roles.router.keys import RESPONSES
from intellirouter.web.body import HOLDS_MUCH, NAMES_FILES, read_json
from intellirouter.web.endpoint import CALLER, Handler, endpoint

MAX_LISTED, DEFAULT_LISTED = 100, 20


async def _begin(request: web.Request) -> Conversation:
    body = await read_json(request)
    request[NAMES_FILES] = True  # the turns before may
    return await Conversation.begin(
        request.app[RESPONSES], request.app[KEEPING], request[CALLER].tenant, body, long=HOLDS_MUCH in request
    )


async def responses(request: web.Request) -> web.StreamResponse:
    """OpenAI's Responses. The answer repeats what was asked, so it is written with the request at hand."""
    conversation = await _begin(request)
    wire = dataclasses.replace(FORMAT, encode_response=partial(encode_response, request=conversation.chat))
    try:
        return await answer(request, wire, conversation.chat, conversation)
    finally:
        if (asked := asked_by(request)) is not None:
            asked.session = conversation.root


async def input_tokens(request: web.Request) -> web.StreamResponse:
    """The input tokens of a response, with those of the turns before it."""
    conversation = await _begin(request)
    return await counted(request, conversation.chat, "input_tokens", {"object": "response.input_tokens"})


async def get_response(request: web.Request) -> web.StreamResponse:
    """One that was kept, as it was answered."""
    if request.query.get("stream") == "true":
        raise InvalidRequest("Only a response in the background can be streamed again.", param="stream")
    kept = await request.app[RESPONSES].get(request[CALLER].tenant, request.match_info["id"])
    return _json(kept.response)


async def delete_response(request: web.Request) -> web.StreamResponse:
    """Forget one."""
    name = request.match_info["id"]
    await request.app[RESPONSES].delete(request[CALLER].tenant, name)
    return _json({"id": name, "object": "response", "deleted": True})


async def list_input_items(request: web.Request) -> web.StreamResponse:
    """What the request for it held, page by page."""
    name, asked = request.match_info["id"], request.query
    newest_first = fields.one_of(asked, "order", {"asc", "desc"}) != "asc"
    try:
        limit = int(asked.get("limit", DEFAULT_LISTED))
    except ValueError as cause:
        raise InvalidRequest("'limit' must be an integer.", param="limit") from cause
    if not 1 <= limit <= MAX_LISTED:
        raise InvalidRequest(f"'limit' must be between 1 and {MAX_LISTED}.", param="limit")
    kept = await request.app[RESPONSES].get(request[CALLER].tenant, name)
    return _json(page(listed(kept.asked, name), asked.get("after"), limit, newest_first))


async def cancel_response(request: web.Request) -> web.StreamResponse:
    """A response is over when its id is known."""
    await request.app[RESPONSES].get(request[CALLER].tenant, request.match_info["id"])
    raise InvalidRequest("Only a response in the background can be cancelled.", param="id")


def _json(body: Json) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler) -> Handler:
        return endpoint(name, handler, FORMAT.encode_error)

    asked = framed("responses", responses)
    return [
        web.post("/v1/responses", asked),
        web.post("/responses", asked),
        web.post("/v1/responses/input_tokens", framed("input_tokens", input_tokens)),
        web.get("/v1/responses/{id}", framed("response", get_response)),
        web.delete("/v1/responses/{id}", framed("response_delete", delete_response)),
        web.get("/v1/responses/{id}/input_items", framed("response_input_items", list_input_items)),
        web.post("/v1/responses/{id}/cancel", framed("response_cancel", cancel_response)),
    ]
