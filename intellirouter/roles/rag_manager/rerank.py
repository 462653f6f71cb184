"""`/v1/rerank` and `/v2/rerank`: documents in the order of how well they fit a query.

The form is that of Cohere's "Rerank" (v2), which Jina, vLLM and others share; a document may be a text or `{"text": …}`.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import msgspec
from aiohttp import web

from intellirouter.bounds.names import name
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN
from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.judging import DEFAULT
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_forms import answer, read_form
from intellirouter.web.endpoint import CALLER, endpoint

MOST = 1_000
Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Document(msgspec.Struct):
    text: str


class RerankForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body. `top_n` bounds what is answered; `max_tokens_per_doc` cuts what is judged of each document."""

    query: str
    documents: list[str | _Document]
    model: str = DEFAULT
    top_n: Positive | None = None
    return_documents: bool = False
    max_tokens_per_doc: Positive | None = None


async def _rerank(request: web.Request) -> web.StreamResponse:
    """Documents in the order of how well they fit a query, by the node's reranker or its embedding model."""
    form = await read_form(request, RerankForm)
    if not form.query.strip():
        raise InvalidRequest("The query is empty.", param="query")
    if not 1 <= len(form.documents) <= MOST:
        raise InvalidRequest(f"'documents' has 1 to {MOST:,} entries.", param="documents")
    texts = [one if isinstance(one, str) else one.text for one in form.documents]
    longest = (form.max_tokens_per_doc or 0) * CHARACTERS_PER_TOKEN
    judged = [text[:longest] for text in texts] if longest else texts
    judge, caller = request.app[RAG].judge, request[CALLER]
    model = judge.model_of(name(form.model, "model"), caller)
    scores = await judge.scores(model, form.query, judged, caller)
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: form.top_n]

    def result(index: int) -> dict[str, Any]:
        told = {"index": index, "relevance_score": scores[index]}
        return told | ({"document": {"text": texts[index]}} if form.return_documents else {})

    return answer(
        {
            "id": f"rerank-{uuid.uuid4().hex}",
            "object": "list",
            "model": model,
            "results": [result(index) for index in order],
        }
    )


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    handler = endpoint("rerank", _rerank, encode_error)
    return [web.post("/v1/rerank", handler), web.post("/v2/rerank", handler)]
