"""Anthropic's front: `POST /v1/messages` and `/v1/messages/count_tokens`."""

from __future__ import annotations

from aiohttp import web

from intellirouter.chat.anthropic_messages.format import FORMAT
from intellirouter.roles.router.answer import answer, read_chat
from intellirouter.roles.router.counting import counted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import Handler, endpoint

_VENDOR_HEADERS = ("anthropic-version", "anthropic-beta")


async def messages(request: web.Request) -> web.StreamResponse:
    """One message, whole or streamed."""
    chat = await read_chat(request, FORMAT, await read_json(request), _vendor_headers(request))
    return await answer(request, FORMAT, chat)


def _vendor_headers(request: web.Request) -> dict[str, str]:
    return {name: value for name in _VENDOR_HEADERS if (value := request.headers.get(name)) is not None}


async def count_tokens(request: web.Request) -> web.StreamResponse:
    """The input tokens of a message."""
    chat = await read_chat(request, FORMAT, await read_json(request), _vendor_headers(request))
    return await counted(request, chat, "input_tokens")


async def hello(_request: web.Request) -> web.StreamResponse:
    """`HEAD /`: Claude Code asks whether anybody is there before it starts."""
    return web.Response()


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def framed(name: str, handler: Handler) -> Handler:
        return endpoint(name, handler, FORMAT.encode_error, request_id_header=FORMAT.request_id_header)

    return [
        web.post("/v1/messages", framed("messages", messages)),
        web.post("/v1/messages/count_tokens", framed("count_tokens", count_tokens)),
        web.head("/", endpoint("root", hello, FORMAT.encode_error)),
    ]
