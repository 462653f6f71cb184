"""`POST /v1/chat/completions`."""

from __future__ import annotations

from aiohttp import web

from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.roles.router.answer import answer
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """OpenAI's Chat Completions."""
    return await answer(request, FORMAT, FORMAT.decode_request(await read_json(request), {}))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    handler = endpoint("chat_completions", chat_completions, FORMAT.encode_error)
    return [web.post("/v1/chat/completions", handler), web.post("/chat/completions", handler)]
