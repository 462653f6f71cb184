"""`POST /v1/responses`."""

from __future__ import annotations

import dataclasses
from functools import partial

from aiohttp import web

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_responses.format import FORMAT
from intellirouter.chat.openai_responses.response import encode_response
from intellirouter.errors import InvalidRequest
from intellirouter.roles.router.answer import answer
from intellirouter.roles.router.counting import counted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


async def responses(request: web.Request) -> web.StreamResponse:
    """OpenAI's Responses. The answer repeats what was asked, so it is written with the request at hand."""
    body = await read_json(request)
    _refuse_what_is_kept(body)
    chat = FORMAT.decode_request(body, {})
    wire = dataclasses.replace(FORMAT, encode_response=partial(encode_response, request=chat))
    return await answer(request, wire, chat)


async def input_tokens(request: web.Request) -> web.StreamResponse:
    """The input tokens of a response."""
    body = await read_json(request)
    _refuse_what_is_kept(body)
    chat = FORMAT.decode_request(body, {})
    return await counted(request, chat, "input_tokens", {"object": "response.input_tokens"})


def _refuse_what_is_kept(body: Json) -> None:
    """No response outlives its request here."""
    if body.get("previous_response_id") is not None:
        raise InvalidRequest(
            "Responses are not kept here yet, so 'previous_response_id' has nothing to go on from: "
            "send the earlier items in 'input'.",
            param="previous_response_id",
        )
    if body.get("background"):
        raise InvalidRequest(
            "Responses are not kept here yet, so 'background' is not possible: ask for the answer itself.",
            param="background",
        )


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    handler = endpoint("responses", responses, FORMAT.encode_error)
    counting = endpoint("input_tokens", input_tokens, FORMAT.encode_error)
    return [
        web.post("/v1/responses", handler),
        web.post("/responses", handler),
        web.post("/v1/responses/input_tokens", counting),
    ]
