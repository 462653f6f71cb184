"""OpenAI's `file_search` tool, served by the RagManager: looked up once, before the model is asked.

Any model of any provider can so be asked with it. Vector stores that this installation does not know are left to the
provider, which may have its own.
Source: OpenAI API reference, "Responses", tools of type `file_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from intellirouter.chat import fields
from intellirouter.chat.fields import Json, at
from intellirouter.chat.model import ChatRequest, Source, Tool
from intellirouter.chat.openai_responses.history import OWN_SEARCH
from intellirouter.errors import InvalidRequest
from intellirouter.peers.contract import Passage

NAME = "file_search"
DEFAULT_RESULTS = 10
MAX_RESULTS = 50
RANKERS = ("auto", "none", "default-2024-11-15")
_RESULTS = "file_search_call.results"
_PATH = f"tools.{NAME}"


def file_search(request: ChatRequest) -> Tool | None:
    """The tool, where the request offers it."""
    return next((tool for tool in request.tools if tool.kind == "builtin" and tool.name == NAME), None)


def rag_of(tool: Tool) -> Json:
    """The tool as a `rag` object. Raises `InvalidRequest` naming the field."""
    data = tool.data or {}
    data = fields.mapping(data, NAME) or data  # Chat Completions nest a tool's settings under its name
    stores = fields.strings(data, "vector_store_ids", _PATH)
    if not stores:
        fields.missing(at(_PATH, "vector_store_ids"))
    ranking = _ranking(fields.mapping(data, "ranking_options", _PATH) or {})
    return {
        "collections": list(stores),
        "top_k": fields.integer(data, "max_num_results", _PATH, least=1, most=MAX_RESULTS) or DEFAULT_RESULTS,
        "filters": fields.mapping(data, "filters", _PATH),
        **ranking,
    }


def _ranking(options: Json) -> Json:
    """How found passages are ranked; the node's own fusion stands behind every name."""
    path = at(_PATH, "ranking_options")
    fields.one_of(options, "ranker", RANKERS, path)
    threshold = fields.number(options, "score_threshold", path)
    if threshold is not None and not 0 <= threshold <= 1:
        where = at(path, "score_threshold")
        raise InvalidRequest(f"'{where}' must be between 0 and 1.", param=where)
    weights = fields.mapping(options, "hybrid_search", path) or {}
    meaning, words = (
        fields.number(weights, name, at(path, "hybrid_search"))
        for name in ("embedding_weight", "text_weight")
    )
    mode = "lexical" if meaning == 0 else "dense" if words == 0 else None
    return {"min_score": threshold, **({"mode": mode} if mode else {})}


def without(request: ChatRequest, served: Tool) -> ChatRequest:
    """The request after the tool was served: the model is neither offered it nor made to use it."""
    tools = tuple(tool for tool in request.tools if tool is not served)
    choice = request.tool_choice
    if not tools or (choice is not None and choice.name == NAME):
        choice = None
    return request.changed(tools=tools, tool_choice=choice)


def call_item(source: Source | None, query: str, passages: Sequence[Passage]) -> Json:
    """What Responses says of a search: an item before the message, with its results where the request includes them."""
    include = source.body.get("include") if source is not None else None
    results = [
        {
            "file_id": passage.metadata.get("file_id", passage.document_id),
            "filename": passage.metadata.get("filename") or passage.title or passage.document_id,
            "score": passage.score,
            "text": passage.text,
            "attributes": passage.metadata.get("attributes", {}),
        }
        for passage in passages
    ]
    return {
        "type": "file_search_call",
        "id": f"{OWN_SEARCH}{uuid4().hex}",
        "status": "completed",
        "queries": [query],
        "results": results if isinstance(include, list) and _RESULTS in include else None,
    }
