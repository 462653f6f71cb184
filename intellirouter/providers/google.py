"""Google's Gemini, on AI Studio and on Vertex in express mode: one API at two addresses.

Source: Gemini API reference ("models.generateContent", "models.batchEmbedContents"); Vertex AI, "Express mode".
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json
from intellirouter.chat.fit.fitting import fit
from intellirouter.chat.foreign import vector
from intellirouter.chat.gemini import embeddings
from intellirouter.chat.gemini.errors import decode_error
from intellirouter.chat.gemini.format import FORMAT
from intellirouter.chat.gemini.response import read_object
from intellirouter.chat.json_array import ArraySplitter
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.chat.sse import SseEvent, SseSplitter
from intellirouter.errors import UnsupportedByTarget, UpstreamError, UpstreamProtocolError
from intellirouter.providers.adapter import (
    Adapter,
    HttpRequest,
    HttpResponse,
    ModelInfo,
    StreamParser,
    Target,
)
from intellirouter.providers.address import joined, path_of
from intellirouter.providers.count import read_count
from intellirouter.providers.headers import USER_AGENT, retry_after
from intellirouter.providers.notes import told
from intellirouter.providers.stream import EventStreamParser, Splitter
from intellirouter.providers.takes import takes_of

_encode = msgspec.json.encode
_COUNTED = frozenset({"contents", "systemInstruction", "system_instruction", "tools"})


def _headers(target: Target) -> tuple[tuple[str, str], ...]:
    headers = [("content-type", "application/json"), ("user-agent", USER_AGENT)]
    if target.api_key is not None:
        headers.append(("x-goog-api-key", target.api_key.get_secret_value()))
    return (*headers, *target.headers.items())


def _model_path(model: str) -> str:
    path = path_of(model, safe="/@")
    return path if path.startswith(("models/", "publishers/", "tunedModels/")) else f"models/{path}"


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one answer; the model and the wish to stream stand in the URL."""
    return _build_chat(request, target, "google")


def build_vertex_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The same for Vertex, whose search leaves out sites."""
    return _build_chat(request, target, "vertex")


def _build_chat(request: ChatRequest, target: Target, kind: str) -> HttpRequest:
    notes: list[str] = []
    request, names = fit(request, takes_of(kind, request.model), notes)
    body = FORMAT.encode_request(request, notes)
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    url = joined(target.base_url, f"/{_model_path(target.model)}:{method}")
    return HttpRequest("POST", url, _headers(target), _encode(body), told(notes), names)


def build_count(request: ChatRequest, target: Target) -> HttpRequest:
    """The request for the number of tokens an answer's input has."""
    return _build_count(request, target, {"generateContentRequest": {"model": _model_path(target.model)}})


def build_vertex_count(request: ChatRequest, target: Target) -> HttpRequest:
    """The same for Vertex, which takes the request's fields as they are."""
    return _build_count(request, target, {})


def _build_count(request: ChatRequest, target: Target, body: Json) -> HttpRequest:
    notes: list[str] = []
    request = fit(request, takes_of("google", request.model), notes).request
    asked = FORMAT.encode_request(request, notes)
    holder = body.get("generateContentRequest", body)
    holder.update((name, value) for name, value in asked.items() if name in _COUNTED)
    url = joined(target.base_url, f"/{_model_path(target.model)}:countTokens")
    return HttpRequest("POST", url, _headers(target), _encode(body), tuple(notes))


def parse_count(response: HttpResponse) -> int:
    """The number."""
    return read_count(response.body, "totalTokens")


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole answer."""
    return FORMAT.decode_response(response.body)


def _whole(body: bytes) -> ChatResponse:
    return parse_chat(HttpResponse(200, {}, body))


def new_stream() -> StreamParser:
    """A parser of one stream of events, or of the array that a gateway deaf to `alt=sse` sends."""
    return EventStreamParser(_EventsOrArray(), FORMAT.new_decoder(), whole=_whole)


class _EventsOrArray:
    """Cuts a stream in whichever of Google's two forms it turns out to be."""

    def __init__(self) -> None:
        self._splitter: Splitter | None = None

    def feed(self, data: bytes) -> list[SseEvent]:
        """See `Splitter.feed`. The first byte that is not white tells."""
        if self._splitter is None and (start := data.lstrip()):
            self._splitter = ArraySplitter() if start.startswith(b"[") else SseSplitter()
        return self._splitter.feed(data) if self._splitter is not None else []

    def flush(self) -> list[SseEvent]:
        """See `Splitter.flush`."""
        return self._splitter.flush() if self._splitter is not None else []


def parse_error(response: HttpResponse, provider: str) -> UpstreamError:
    """The error of a response that is not a success."""
    error = decode_error(response.body, response.status, provider)
    if (seconds := retry_after(response.headers)) is not None:
        error.retry_after = seconds
    return error


def build_embeddings(request: EmbeddingRequest, target: Target) -> HttpRequest:
    """The HTTP request for vectors of texts."""
    if request.tokens:
        raise UnsupportedByTarget("Gemini embeds texts, not token ids.", param="input")
    path = _model_path(target.model)
    notes: list[str] = []
    body = embeddings.encode_request(request, path, notes)
    url = joined(target.base_url, f"/{path}:batchEmbedContents")
    return HttpRequest("POST", url, _headers(target), _encode(body), tuple(notes))


class _Embedding(msgspec.Struct):
    values: msgspec.Raw


class _EmbeddedUsage(msgspec.Struct):
    promptTokenCount: int | float = 0  # noqa: N815  the vendor's name


class _Embedded(msgspec.Struct):
    embeddings: list[_Embedding] = []
    usageMetadata: _EmbeddedUsage | None = None  # noqa: N815


_embedded = msgspec.json.Decoder(_Embedded).decode


def parse_embeddings(response: HttpResponse) -> EmbeddingResponse:
    """The vectors, in input order. Google does not say the model, and the tokens for newer ones only."""
    try:
        told = _embedded(response.body)
        vectors = tuple(tuple(map(float, vector(entry.values))) for entry in told.embeddings)
    except (msgspec.DecodeError, RecursionError, TypeError, ValueError, OverflowError) as cause:
        raise UpstreamProtocolError("the provider's embeddings are not lists of numbers") from cause
    if not vectors:
        raise UpstreamProtocolError("the provider's answer has no embeddings")
    used = told.usageMetadata
    usage = Usage(input_tokens=int(used.promptTokenCount)) if used is not None else None
    return EmbeddingResponse(model="", vectors=vectors, usage=usage)


def build_models(target: Target) -> HttpRequest:
    """The request for the list of models."""
    return HttpRequest("GET", joined(target.base_url, "/models?pageSize=1000"), _headers(target))


def parse_models(response: HttpResponse) -> tuple[ModelInfo, ...]:
    """The list, with windows; names without their `models/`."""
    models = read_object(response.body).get("models")
    if not isinstance(models, list):
        raise UpstreamProtocolError("the provider's model list has no 'models'")
    return tuple(
        ModelInfo(
            model["name"].removeprefix("models/"),
            context_window=_tokens(model.get("inputTokenLimit")),
            max_output_tokens=_tokens(model.get("outputTokenLimit")),
        )
        for model in models
        if isinstance(model, dict) and isinstance(model.get("name"), str)
    )


def _tokens(told: object) -> int | None:
    return told if isinstance(told, int) and told > 0 else None


ADAPTER = Adapter(
    kind="google",
    wire=FORMAT,
    default_base_url="https://generativelanguage.googleapis.com/v1beta",
    build_chat=build_chat,
    parse_chat=parse_chat,
    new_stream=new_stream,
    parse_error=parse_error,
    build_models=build_models,
    parse_models=parse_models,
    build_embeddings=build_embeddings,
    parse_embeddings=parse_embeddings,
    max_embedding_inputs=100,
    build_count=build_count,
    parse_count=parse_count,
)


VERTEX_ADAPTER = replace(
    ADAPTER,
    kind="vertex",
    build_chat=build_vertex_chat,
    build_count=build_vertex_count,
    default_base_url="https://aiplatform.googleapis.com/v1/publishers/google",
    build_embeddings=None,
    parse_embeddings=None,
    build_models=None,
    parse_models=None,
)
