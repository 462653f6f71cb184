"""Gemini's embedContent and batchEmbedContents, both directions.

Source: Gemini API reference, "Embeddings". Every text of a batch has its own settings; here they share the number of
dimensions, and what else each says reaches targets of this dialect as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json, objects
from intellirouter.chat.gemini.parts import pick
from intellirouter.errors import InvalidRequest

DIALECT = "gemini_embeddings"
_TASKS: dict[str, str | None] = {
    "RETRIEVAL_QUERY": "query",
    "QUESTION_ANSWERING": "query",
    "FACT_VERIFICATION": "query",
    "CODE_RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "SEMANTIC_SIMILARITY": None,
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "TASK_TYPE_UNSPECIFIED": None,
}
_SAME = {"search_query": "query", "search_document": "document", "passage": "document"}
"""What other vendors call it (Cohere, NVIDIA)."""
_WORDS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def decode_request(model: str, wanted: Sequence[Json]) -> EmbeddingRequest:
    """The requests of a batch to canonical. Raises `InvalidRequest`."""
    wanted = [_flat(one) for one in wanted]
    texts = tuple(_text_of(one, f"requests[{place}].content") for place, one in enumerate(wanted))
    sizes = {_size_of(one) for one in wanted}
    if len(sizes) > 1:
        name = "outputDimensionality"
        raise InvalidRequest(f"The requests of a batch must agree on '{name}'.", param=name)
    each = tuple(_settings(one) for one in wanted)
    kinds = {_TASKS[one["taskType"]] if "taskType" in one else None for one in each}
    return EmbeddingRequest(
        model=model,
        texts=texts,
        dimensions=sizes.pop() if sizes else None,
        input_type=kinds.pop() if len(kinds) == 1 else None,
        each=each if any(each) else (),
        extra_dialect=DIALECT,
    )


def _flat(wanted: Json) -> Json:
    """Newer clients put the settings into an object of their own."""
    inner = pick(wanted, "embedContentConfig")
    return {**inner, **wanted} if isinstance(inner, dict) else wanted


def _size_of(wanted: Json) -> int | None:
    size = pick(wanted, "outputDimensionality")
    return fields.integer({"outputDimensionality": size or None}, "outputDimensionality", least=1)


def _settings(wanted: Json) -> Json:
    said: Json = {}
    if (task := pick(wanted, "taskType")) is not None:
        said["taskType"] = fields.one_of({"taskType": task}, "taskType", _TASKS)
    if (title := pick(wanted, "title")) is not None:
        said["title"] = fields.text({"title": title}, "title")
    return said


def _text_of(wanted: Json, path: str) -> str:
    content = wanted.get("content")
    parts = objects(content, "parts", path) if isinstance(content, dict) else []
    texts = [text for part in parts if isinstance(text := part.get("text"), str)]
    if len(texts) < len(parts):
        raise InvalidRequest(f"'{path}' holds a part that is no text: only texts are embedded.", param=path)
    if not any(texts):
        raise InvalidRequest(f"'{path}' must hold text parts.", param=path)
    return "".join(texts)


def encode_request(request: EmbeddingRequest, path: str, notes: list[str]) -> Json:
    """The JSON Google reads; `path` names the model."""
    shared: Json = {"model": path}
    if request.dimensions is not None:
        shared["outputDimensionality"] = request.dimensions
    if request.extra_dialect == DIALECT:
        each = request.each or ({},) * len(request.texts)
    else:
        each = (_task_of(request.input_type, notes),) * len(request.texts)
    return {
        "requests": [
            {**shared, **said, "content": {"parts": [{"text": text}]}}
            for text, said in zip(request.texts, each, strict=True)
        ]
    }


def _task_of(kind: str | None, notes: list[str]) -> Json:
    if kind is None:
        return {}
    task = kind if kind in _TASKS else _WORDS.get(_SAME.get(kind, kind))
    if task is None:
        notes.append("'input_type' was left out: Google has no such task.")
        return {}
    return {"taskType": task}


def usage_of(response: EmbeddingResponse) -> dict[str, Any]:
    """What it used, where the vendor said so."""
    if response.usage is None or response.usage.estimated:
        return {}
    return {"usageMetadata": {"promptTokenCount": response.usage.input_tokens}}
