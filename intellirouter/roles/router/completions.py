"""`POST /v1/completions`."""

from __future__ import annotations

from aiohttp import web

from intellirouter.chat.openai_completions.format import FORMAT
from intellirouter.roles.router.answer import answer, read_chat
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


async def completions(request: web.Request) -> web.StreamResponse:
    """OpenAI's legacy Completions."""
    return await answer(request, FORMAT, await read_chat(request, FORMAT, await read_json(request)))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.post("/v1/completions", endpoint("completions", completions, FORMAT.encode_error))]
