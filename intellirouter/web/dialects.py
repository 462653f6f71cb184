"""In whose words a client is told of an error where the address alone does not say it: models, and paths that nobody serves.

A client reads an error in its own vendor's form only: Anthropic's looks for a `type` around it, Google's for a number in it, and
Ollama's shows whatever stands under `error`, which must be a text.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from intellirouter.chat.anthropic_messages.format import FORMAT as ANTHROPIC
from intellirouter.chat.gemini.format import FORMAT as GEMINI
from intellirouter.chat.ollama.format import FORMAT as OLLAMA
from intellirouter.chat.openai_chat.format import FORMAT as OPENAI
from intellirouter.web.endpoint import DESCRIBED, Handler, endpoint

Dialect = Literal["openai", "anthropic", "gemini", "ollama"]
WIRES = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI, "ollama": OLLAMA}


def dialect_of(request: web.Request) -> Dialect:
    """By the path where only one vendor has it, else by the header that only its clients send."""
    path, headers = request.path, request.headers
    if path.startswith("/api/"):
        return "ollama"
    if path.startswith(("/v1beta/", "/v1beta1/")) or "x-goog-api-key" in headers:
        return "gemini"
    if request.method == "POST" and path.startswith(
        "/v1/models/"
    ):  # a method of a model: only Google has them
        return "gemini"
    if path.startswith(("/v1/messages", "/messages")) or "anthropic-version" in headers:
        return "anthropic"
    return "openai"


def in_its_dialect(name: str, handler: Handler) -> Handler:
    """An endpoint that tells of errors as `dialect_of` the request says. See `endpoint`."""
    framed = {
        dialect: endpoint(name, handler, wire.encode_error, request_id_header=wire.request_id_header)
        for dialect, wire in WIRES.items()
    }

    async def handle(request: web.Request) -> web.StreamResponse:
        return await framed[dialect_of(request)](request)

    DESCRIBED[handle] = DESCRIBED[framed["openai"]]
    return handle
