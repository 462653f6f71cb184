"""OpenAI's Embeddings, both directions.

Source: OpenAI API reference, "Embeddings". Inputs are a text, texts, token ids or arrays of token ids; vectors go out as
numbers or as base64 of little-endian float32, which OpenAI's own SDK asks for unless told otherwise.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from intellirouter.chat import fields, foreign
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import decode_error, says_error
from intellirouter.chat.openai_chat.usage import decode_usage
from intellirouter.errors import InvalidRequest, UpstreamProtocolError

DIALECT = "openai_embeddings"
KNOWN_FIELDS = frozenset({"model", "input", "dimensions", "encoding_format", "user", "input_type"})
MAX_INPUTS = 8_192
MAX_VALUES = 310_000
"""Values in the JSON of a request: each token is one, and OpenAI takes 300,000 of them, which some clients count out and send by default.
Source: OpenAI API reference, "Create embeddings"."""


def decode_request(body: Json) -> EmbeddingRequest:
    """The client's JSON to canonical."""
    encoding = fields.one_of(body, "encoding_format", {"float", "base64"})
    texts, tokens = _decode_input(body.get("input"))
    return EmbeddingRequest(
        model=fields.required_name(body, "model"),
        texts=texts,
        tokens=tokens,
        dimensions=fields.integer(body, "dimensions", least=1),
        base64=encoding == "base64",
        input_type=fields.text(body, "input_type"),
        user=fields.name(body, "user"),
        extra=fields.rest(body, KNOWN_FIELDS),
        extra_dialect=DIALECT,
    )


def _decode_input(value: Any) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    if isinstance(value, str):
        return (value,), ()
    if value is None or value == []:
        fields.missing("input")
    if not isinstance(value, list):
        fields.wrong("input", "a string or an array", value)
    if len(value) > MAX_INPUTS:
        raise InvalidRequest(f"'input' holds more than {MAX_INPUTS} entries.", param="input")
    if all(type(item) is str for item in value):
        return tuple(value), ()
    if all(type(item) is int for item in value):
        return (), (tuple(value),)
    if all(type(item) is list and item and all(type(token) is int for token in item) for item in value):
        return (), tuple(tuple(item) for item in value)
    raise InvalidRequest("'input' must be a text, texts, token ids or arrays of token ids.", param="input")


def encode_request(request: EmbeddingRequest, *, knows_base64: bool = False) -> Json:
    """The JSON a provider of this dialect reads. Asks for base64 only who surely knows it; else it is ours to encode."""
    body: Json = {
        "model": request.model,
        "input": list(request.texts) if request.texts else [list(tokens) for tokens in request.tokens],
        **(request.extra if request.extra_dialect == DIALECT else {}),
    }
    optional = {
        "dimensions": request.dimensions,
        "user": request.user,
        "input_type": request.input_type,
        "encoding_format": "base64" if request.base64 and knows_base64 else None,
    }
    body.update((key, value) for key, value in optional.items() if value is not None)
    return body


def decode_response(body: bytes) -> EmbeddingResponse:
    """The vendor's bytes to canonical: in input order, and not nested a level too deep, as one vendor sends them."""
    try:
        told = _told(body)
    except (msgspec.DecodeError, RecursionError) as cause:
        if says_error(body):
            raise decode_error(body) from None
        raise UpstreamProtocolError("the provider's answer has no embeddings") from cause
    try:
        ordered = sorted(told.data, key=lambda entry: int(entry.index or 0))
        vectors = tuple(_vector(foreign.vector(entry.embedding)) for entry in ordered)
    except (msgspec.DecodeError, RecursionError, TypeError, ValueError, OverflowError, struct.error) as cause:
        raise UpstreamProtocolError("the provider's embeddings are not vectors") from cause
    return EmbeddingResponse(
        model=str(told.model or ""), vectors=vectors, usage=decode_usage(foreign.aside(told.usage))
    )


class _AnyEntry(msgspec.Struct):
    embedding: msgspec.Raw
    index: float | str | None = None


class _Told(msgspec.Struct):
    data: list[_AnyEntry]
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_told = msgspec.json.Decoder(_Told).decode


class _Entry(msgspec.Struct):
    embedding: msgspec.Raw
    index: int = 0


class _Answer(msgspec.Struct):
    data: list[_Entry]
    model: str
    usage: msgspec.Raw


_answer = msgspec.json.Decoder(_Answer)


class _Counts(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


_counts = msgspec.json.Decoder(_Counts)


def peek_response(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    """What a router must know of vectors that go on to the client unread: model and usage, with `raw`.

    An answer that is not in the form, order and number the client expects is decoded in full instead.
    """
    try:
        answer = _answer.decode(body)
        _counts.decode(answer.usage)  # clients read them unasked
    except (msgspec.DecodeError, RecursionError):
        return decode_response(body)
    tidy = len(answer.data) == len(request.texts) + len(request.tokens) and all(
        entry.index == place and _is_as_asked(entry.embedding, request)
        for place, entry in enumerate(answer.data)
    )
    if not tidy:
        return decode_response(body)
    return EmbeddingResponse(
        model=answer.model, vectors=(), usage=decode_usage(foreign.aside(answer.usage)), raw=body
    )


def _is_as_asked(embedding: msgspec.Raw, request: EmbeddingRequest) -> bool:
    text = bytes(memoryview(embedding))
    if request.base64:
        return text[:1] == b'"' and text != b'""'
    plain = text[:1] == b"[" and text[:2] not in (b"[[", b"[]")
    return plain and b"n" not in text and b'"' not in text  # neither null nor words are numbers


def _vector(value: Any) -> tuple[float, ...]:
    if isinstance(value, str):
        raw = base64.b64decode(value, validate=True)
        return struct.unpack(f"<{len(raw) // 4}f", raw)
    if isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list):
        raise TypeError("neither numbers nor their bytes")
    return tuple(map(float, value))


def encode_response(response: EmbeddingResponse, request: EmbeddingRequest) -> bytes:
    """The client's JSON, in the encoding it asked for."""
    if response.raw is not None:
        return response.raw

    def shown(vector: tuple[float, ...]) -> str | tuple[float, ...]:
        if not request.base64:
            return vector
        try:
            return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        except OverflowError as cause:
            raise UpstreamProtocolError(
                "the provider's embedding holds numbers that are none of 32 bits"
            ) from cause

    used = response.usage.input_tokens if response.usage else 0
    body: Json = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": shown(vector)}
            for index, vector in enumerate(response.vectors)
        ],
        "model": response.model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
    return msgspec.json.encode(body)
