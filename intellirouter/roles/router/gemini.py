"""Google's front: `POST /v1beta/models/{model}:{method}`, also under `/v1`."""

from __future__ import annotations

import msgspec
from aiohttp import web

from intellirouter.chat import fields
from intellirouter.chat.embedding import EmbeddingResponse
from intellirouter.chat.fields import Json, objects
from intellirouter.chat.gemini import embeddings
from intellirouter.chat.gemini.format import ARRAY_FORMAT, FORMAT
from intellirouter.chat.gemini.parts import pick
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.roles.router.answer import answer, answer_headers, read_chat
from intellirouter.roles.router.counting import counted
from intellirouter.roles.router.embeddings import embed
from intellirouter.roles.router.google_key import with_key_of_address
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import endpoint


async def _generate(request: web.Request, model: str) -> web.StreamResponse:
    body = await read_json(request) | {"model": model, "stream": False}
    return await answer(request, FORMAT, await read_chat(request, FORMAT, body))


async def _stream(request: web.Request, model: str) -> web.StreamResponse:
    body = await read_json(request) | {"model": model, "stream": True}
    wire = FORMAT if request.query.get("alt") == "sse" else ARRAY_FORMAT
    return await answer(request, wire, await read_chat(request, wire, body))


async def _count(request: web.Request, model: str) -> web.StreamResponse:
    body = await read_json(request)
    inner = pick(body, "generateContentRequest")
    asked = (inner if isinstance(inner, dict) else body) | {"model": model, "stream": False}
    return await counted(request, await read_chat(request, FORMAT, asked), "totalTokens")


async def _embed(
    request: web.Request, model: str, wanted: list[Json]
) -> tuple[EmbeddingResponse, dict[str, str]]:
    response, trace = await embed(request, embeddings.decode_request(model, wanted))
    return response, answer_headers(request, trace)


async def _embed_one(request: web.Request, model: str) -> web.StreamResponse:
    response, headers = await _embed(request, model, [await read_json(request)])
    return _told({"embedding": {"values": response.vectors[0]}}, response, headers)


async def _embed_batch(request: web.Request, model: str) -> web.StreamResponse:
    wanted = objects(await read_json(request), "requests")
    if not wanted:
        raise InvalidRequest("Missing required field: 'requests'.", param="requests")
    response, headers = await _embed(request, model, wanted)
    return _told({"embeddings": [{"values": vector} for vector in response.vectors]}, response, headers)


def _told(body: Json, response: EmbeddingResponse, headers: dict[str, str]) -> web.StreamResponse:
    told = msgspec.json.encode(body | embeddings.usage_of(response))
    return web.Response(body=told, content_type="application/json", headers=headers)


_METHODS = {
    "generateContent": _generate,
    "streamGenerateContent": _stream,
    "countTokens": _count,
    "embedContent": _embed_one,
    "batchEmbedContents": _embed_batch,
}


async def call(request: web.Request) -> web.StreamResponse:
    """One call, by the method after the last colon; a model's own name may hold colons too."""
    model, _, method = request.match_info["call"].rpartition(":")
    handler = _METHODS.get(method)
    if handler is None:
        raise NotFound(f"There is no method '{method[:100]}' of models.")
    return await handler(request, fields.required_name({"model": model}, "model"))


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    handler = with_key_of_address(endpoint("gemini", call, FORMAT.encode_error))
    return [web.post(f"/{version}/models/{{call:.+:[A-Za-z]+}}", handler) for version in ("v1beta", "v1")]
