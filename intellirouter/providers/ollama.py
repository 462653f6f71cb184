"""Ollama's native API."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fit.fitting import fit
from intellirouter.chat.foreign import vector
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.ollama.errors import decode_error
from intellirouter.chat.ollama.format import FORMAT, GENERATE_FORMAT
from intellirouter.chat.ollama.response import read_object
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.errors import UnsupportedByTarget, UpstreamError, UpstreamProtocolError
from intellirouter.providers.adapter import (
    Adapter,
    HttpRequest,
    HttpResponse,
    ModelInfo,
    StreamParser,
    Target,
)
from intellirouter.providers.address import joined
from intellirouter.providers.headers import bearer, retry_after
from intellirouter.providers.notes import told
from intellirouter.providers.stream import ndjson_parser
from intellirouter.providers.takes import takes_of

_encode = msgspec.json.encode


def _url(target: Target, path: str) -> str:
    """The endpoint with `path`; `/v1` and `/api` at the end of a base URL are customary and meant for the whole server."""
    place, _, query = target.base_url.partition("?")
    server = place.rstrip("/").removesuffix("/chat").removesuffix("/generate")
    server = server.removesuffix("/v1").removesuffix("/api")
    return joined(f"{server}?{query}", path)


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one answer."""
    notes: list[str] = []
    request, names = fit(request, takes_of("ollama", request.model), notes)
    body = FORMAT.encode_request(request, notes)
    return HttpRequest("POST", _url(target, "/api/chat"), bearer(target), _encode(body), told(notes), names)


def build_generate(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one text, for models that know only prompts."""
    notes: list[str] = []
    body = GENERATE_FORMAT.encode_request(request, notes)
    return HttpRequest("POST", _url(target, "/api/generate"), bearer(target), _encode(body), tuple(notes))


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole answer."""
    return FORMAT.decode_response(response.body)


def new_stream() -> StreamParser:
    """A parser of one stream of lines."""
    return ndjson_parser(FORMAT.new_decoder())


def parse_error(response: HttpResponse, provider: str) -> UpstreamError:
    """The error of a response that is not a success."""
    error = decode_error(response.body, response.status, provider)
    error.retry_after = retry_after(response.headers)
    return error


def build_models(target: Target) -> HttpRequest:
    """The request for the models that are installed."""
    return HttpRequest("GET", _url(target, "/api/tags"), bearer(target))


def parse_models(response: HttpResponse) -> tuple[ModelInfo, ...]:
    """The installed models; an untagged name means `:latest`, as for Ollama itself."""
    models = read_object(response.body).get("models")
    if not isinstance(models, list):
        raise UpstreamProtocolError("the provider's model list has no 'models'")
    names = [model.get("model") or model.get("name") for model in models if isinstance(model, dict)]
    return tuple(ModelInfo(name) for name in names if isinstance(name, str))


def build_embeddings(request: EmbeddingRequest, target: Target) -> HttpRequest:
    """The HTTP request for vectors of texts."""
    if request.tokens:
        raise UnsupportedByTarget("Ollama embeds texts, not token ids.", param="input")
    body: dict[str, object] = {"model": target.model, "input": list(request.texts)}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.extra_dialect == FORMAT.name:
        body |= request.extra
    return HttpRequest("POST", _url(target, "/api/embed"), bearer(target), _encode(body))


class _Embedded(msgspec.Struct):
    embeddings: list[msgspec.Raw] | None = None
    embedding: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    prompt_eval_count: int | float | None = None


_embedded = msgspec.json.Decoder(_Embedded).decode


def parse_embeddings(response: HttpResponse) -> EmbeddingResponse:
    """The vectors, in input order; servers before 0.3 answer one text with one vector."""
    try:
        told = _embedded(response.body)
        read = tuple(tuple(map(float, vector(raw))) for raw in told.embeddings or [told.embedding])
    except (msgspec.DecodeError, RecursionError, TypeError, ValueError, OverflowError) as cause:
        raise UpstreamProtocolError("the provider's answer has no embeddings") from cause
    used = told.prompt_eval_count
    return EmbeddingResponse(
        model=str(told.model or ""),
        vectors=read,
        usage=Usage(input_tokens=used if isinstance(used, int) else 0),
    )


ADAPTER = Adapter(
    kind="ollama",
    wire=FORMAT,
    default_base_url="http://127.0.0.1:11434",
    build_chat=build_chat,
    parse_chat=parse_chat,
    new_stream=new_stream,
    parse_error=parse_error,
    build_models=build_models,
    parse_models=parse_models,
    build_embeddings=build_embeddings,
    parse_embeddings=parse_embeddings,
    max_embedding_inputs=512,
)

GENERATE_ADAPTER = replace(ADAPTER, kind="ollama_generate", wire=GENERATE_FORMAT, build_chat=build_generate)
