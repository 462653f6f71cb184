"""`POST /v1/embeddings`."""

from __future__ import annotations

from aiohttp import web

from intellirouter.chat import openai_embeddings
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.mistral import embeddings as mistral_embeddings
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.parts import Text
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN
from intellirouter.inference.job import Trace
from intellirouter.roles.router.answer import answer_headers, job_of, note_access
from intellirouter.roles.router.chat import speaks_mistral
from intellirouter.roles.router.keys import DISPATCH
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint
from intellirouter.web.whole import WholeResponse


async def embed(
    request: web.Request, wanted: EmbeddingRequest, relay: str | None = None
) -> tuple[EmbeddingResponse, Trace]:
    """Vectors for `wanted`, unread where they come in the dialect `relay`. Limits and rules see the inputs as a conversation of user turns."""
    words = (*wanted.words, *("x" * (CHARACTERS_PER_TOKEN * len(tokens)) for tokens in wanted.tokens))
    chat = ChatRequest(model=wanted.model, messages=(Message("user", tuple(Text(text) for text in words)),))
    response, trace = await request.app[DISPATCH].embed(job_of(request, chat, relay), wanted)
    note_access(request, trace)
    return response, trace


async def embeddings(request: web.Request) -> web.StreamResponse:
    """OpenAI's Embeddings, and Mistral's for its own clients."""
    body = await read_json(request, values=openai_embeddings.MAX_VALUES)
    if speaks_mistral(request):
        wanted = mistral_embeddings.decode_request(body)
        response, trace = await embed(request, wanted)
        answer = mistral_embeddings.encode_response(response, wanted)
    else:
        wanted = openai_embeddings.decode_request(body)
        response, trace = await embed(request, wanted, openai_embeddings.DIALECT)
        answer = openai_embeddings.encode_response(response, wanted)
    return WholeResponse(answer, answer_headers(request, trace))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    return [web.post("/v1/embeddings", endpoint("embeddings", embeddings, encode_error))]
