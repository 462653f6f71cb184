"""In whose words a client is told of an error where the address alone does not say it: models, and paths that nobody serves.

A client reads an error in its own vendor's form only: Anthropic's looks for a `type` around it, Google's for a number in it, and
Ollama's shows whatever stands under `error`, which must be a text.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from intellirouter.chat.anthropic_messages.errors import encode_error as anthropic
from intellirouter.chat.gemini.errors import encode_error as gemini
from intellirouter.chat.ollama.errors import encode_error as ollama
from intellirouter.chat.openai_chat.errors import encode_error as openai
from intellirouter.web.endpoint import DESCRIBED, Handler, endpoint
from intellirouter.web.errors import Envelope

Dialect = Literal["openai", "anthropic", "gemini", "ollama"]
ENVELOPES: dict[Dialect, Envelope] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}
"""Their encoders of errors, and no more of a dialect: every role looks here."""


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
        dialect: endpoint(
            name,
            handler,
            envelope,
            request_id_header="request-id" if dialect == "anthropic" else "x-request-id",
        )
        for dialect, envelope in ENVELOPES.items()
    }

    async def handle(request: web.Request) -> web.StreamResponse:
        return await framed[dialect_of(request)](request)

    DESCRIBED[handle] = DESCRIBED[framed["openai"]]
    return handle
