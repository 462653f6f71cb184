"""`POST /v1/chat/completions`."""

from __future__ import annotations

from aiohttp import web

from intellirouter.chat.mistral.format import FORMAT as MISTRAL
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.roles.router.answer import answer, read_chat
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """OpenAI's Chat Completions; Mistral's own clients, who use the same address, are answered as Mistral would."""
    wire = MISTRAL if speaks_mistral(request) else FORMAT
    return await answer(request, wire, await read_chat(request, wire, await read_json(request)))


def speaks_mistral(request: web.Request) -> bool:
    """True for Mistral's SDKs: they cannot read calls in pieces, and know it by no header but this."""
    return "mistral" in request.headers.get("user-agent", "").lower()


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    handler = endpoint("chat_completions", chat_completions, FORMAT.encode_error)
    return [web.post("/v1/chat/completions", handler), web.post("/chat/completions", handler)]
