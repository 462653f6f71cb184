"""`/v1/rerank` and `/v2/rerank`: documents in the order of how well they fit a query.

The form is that of Cohere's "Rerank" (v2), which Jina, vLLM and others share; a document may be a text or an object, of which
`text` is judged, or the fields that `rank_fields` names (Cohere's v1). What is said of how a hosted model is run changes nothing here.
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


class RerankForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body. `top_n` bounds what is answered; `max_tokens_per_doc` cuts what is judged of each document."""

    query: str
    documents: list[str | dict[str, Any]]
    model: str = DEFAULT
    top_n: Positive | None = None
    return_documents: bool = False
    max_tokens_per_doc: Positive | None = None
    rank_fields: list[str] | None = None
    top_k: Positive | None = None  # Voyage's name of `top_n`
    max_chunks_per_doc: int | None = None
    priority: int | None = None
    truncation: bool | None = None
    truncate_prompt_tokens: int | None = None
    return_embeddings: bool | None = None
    user: str | None = None


def _text_of(document: str | dict[str, Any], fields: list[str] | None, place: int) -> str:
    if isinstance(document, str):
        return document
    if fields:
        return "\n".join(f"{name}: {document[name]}" for name in fields if document.get(name) is not None)
    if not isinstance(text := document.get("text"), str):
        raise InvalidRequest(f"'documents[{place}]' has no 'text'.", param=f"documents[{place}]")
    return text


async def _rerank(request: web.Request) -> web.StreamResponse:
    """Documents in the order of how well they fit a query, by the node's reranker or its embedding model."""
    form = await read_form(request, RerankForm)
    if not form.query.strip():
        raise InvalidRequest("The query is empty.", param="query")
    if not 1 <= len(form.documents) <= MOST:
        raise InvalidRequest(f"'documents' has 1 to {MOST:,} entries.", param="documents")
    texts = [_text_of(one, form.rank_fields, place) for place, one in enumerate(form.documents)]
    longest = (form.max_tokens_per_doc or 0) * CHARACTERS_PER_TOKEN
    judged = [text[:longest] for text in texts] if longest else texts
    judge, caller = request.app[RAG].judge, request[CALLER]
    model = judge.model_of(name(form.model, "model"), caller)
    scores = await judge.scores(model, form.query, judged, caller)
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: form.top_n or form.top_k]

    def result(index: int) -> dict[str, Any]:
        told = {"index": index, "relevance_score": scores[index]}
        given = form.documents[index]
        shown = {"text": given} if isinstance(given, str) else given
        return told | ({"document": shown} if form.return_documents else {})

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
