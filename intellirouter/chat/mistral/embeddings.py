"""Embeddings: OpenAI's but for the name of the size, and an id on every answer."""

from __future__ import annotations

import uuid

import msgspec

from intellirouter.chat import openai_embeddings
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json


def decode_request(body: Json) -> EmbeddingRequest:
    """The client's JSON to canonical."""
    plain = {key: value for key, value in body.items() if key != "output_dimension"}
    return openai_embeddings.decode_request({"dimensions": body.get("output_dimension"), **plain})


def encode_request(request: EmbeddingRequest, notes: list[str]) -> Json:
    """The JSON Mistral reads."""
    body = openai_embeddings.encode_request(request)
    if "dimensions" in body:
        body["output_dimension"] = body.pop("dimensions")
    foreign = [name for name in ("user", "input_type") if body.pop(name, None) is not None]
    notes += [f"'{name}' was left out: mistral has no such setting." for name in foreign]
    return body


def encode_response(response: EmbeddingResponse, request: EmbeddingRequest) -> bytes:
    """The client's JSON."""
    body = msgspec.json.decode(openai_embeddings.encode_response(response, request))
    return msgspec.json.encode({"id": uuid.uuid4().hex, **body})
