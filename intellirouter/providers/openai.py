"""OpenAI and everything that speaks its Chat Completions.

Vendors of this dialect differ in small, nameable ways; a `Flavour` names them and `adapter_of` makes the adapter, so
that a preset is data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import msgspec

from intellirouter.chat import openai_embeddings
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.fields import Json
from intellirouter.chat.fit.fitting import fit, named
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.errors import decode_error, says_error
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.chat.openai_chat.models import fit as fit_reasoning
from intellirouter.chat.openai_chat.models import known_effort, traits_of
from intellirouter.chat.openai_chat.peek import peek_response
from intellirouter.chat.openai_chat.response import decode_response, read_object
from intellirouter.chat.openai_responses import response as responses
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import UpstreamError, UpstreamProtocolError
from intellirouter.providers.adapter import (
    Adapter,
    HttpRequest,
    HttpResponse,
    ModelInfo,
    StreamParser,
    Target,
)
from intellirouter.providers.address import joined
from intellirouter.providers.compatible import drop_cache_markers, offer_only_allowed
from intellirouter.providers.headers import bearer, retry_after
from intellirouter.providers.notes import told
from intellirouter.providers.stream import sse_parser
from intellirouter.providers.takes import takes_of

_encode = msgspec.json.encode
_THINKERS = re.compile(r"deepseek|kimi", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one vendor's version of the dialect differs from the plain one.

    `unknown_fields` are canonical fields it refuses; `unknown_message_fields` likewise on messages.
    """

    kind: str
    base_url: str = ""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    developer_role: bool = False
    unknown_fields: frozenset[str] = frozenset()
    unknown_message_fields: frozenset[str] = frozenset()
    max_embedding_inputs: int = 2_048
    base64_embeddings: bool = False  # surely knows `encoding_format`
    tool_subsets: bool = False  # a choice among some of the tools
    reasoning_models: bool = False  # serves OpenAI's own, which refuse much of the rest
    cache_markers: bool = False  # takes `cache_control` on a part
    thoughts_with_calls: bool = False  # wants `reasoning_content` with every call
    details: bool = False  # has `reasoning_details` for thoughts
    embedding_input_type: bool = False  # embeds queries and documents apart


OPENAI = Flavour(
    kind="openai",
    base_url="https://api.openai.com/v1",
    max_tokens_field="max_completion_tokens",
    developer_role=True,
    unknown_fields=frozenset({"top_k", "min_p"}),
    unknown_message_fields=frozenset({"reasoning_content", "thinking_blocks", "reasoning_details"}),
    base64_embeddings=True,
    tool_subsets=True,
    reasoning_models=True,
)
COMPATIBLE = Flavour(kind="openai_compatible", embedding_input_type=True)


def url_of(target: Target, path: str) -> str:
    """The endpoint with `path`; an endpoint given as a bare host gets the customary `/v1`."""
    url: str | None = target.written.get(path)
    if url is None:
        url = target.written[path] = joined(target.base_url, path, bare="/v1")
    return url


def build_chat(flavour: Flavour, request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one completion."""
    notes: list[str] = []
    takes = takes_of(flavour.kind, request.model)
    request, names = fit(request, takes, notes)
    body = FORMAT.encode_request(request, notes)
    if request.source is None or request.source.dialect != FORMAT.name:
        adapt(flavour, body, notes)
        if flavour.reasoning_models:
            _fit_model(body, notes)
    elif flavour is not COMPATIBLE and not named(request):
        body["messages"] = [_own(message) for message in body["messages"]]
        adapt(flavour, body, notes)
        if flavour.reasoning_models:
            _fit_model(body, notes)
    elif flavour.unknown_message_fields:
        _drop_foreign_thoughts(flavour, body, notes)
    if not takes.developers and any(_is_developer(message) for message in body["messages"]):
        body["messages"] = [
            {**message, "role": "system"} if _is_developer(message) else message
            for message in body["messages"]
        ]
    if _wants_thoughts(flavour, body["model"]):
        body["messages"] = [_with_thought(message) for message in body["messages"]]
    accept = "text/event-stream" if request.stream else "application/json"
    url = url_of(target, "/chat/completions")
    return HttpRequest("POST", url, bearer(target, accept), _encode(body), told(notes), names)


def _is_developer(message: Any) -> bool:
    """OpenAI's later word for a system message, which others refuse."""
    return isinstance(message, dict) and message.get("role") == "developer"


def _wants_thoughts(flavour: Flavour, model: str) -> bool:
    """DeepSeek and Kimi, wherever they are served, want the reasoning of a turn that calls tools back with it."""
    if flavour.details or flavour.reasoning_models:
        return False
    return flavour.thoughts_with_calls or _thinks(model)


@lru_cache(1024)
def _thinks(model: str) -> bool:
    return _THINKERS.search(model) is not None


def _with_thought(message: Any) -> Any:
    """The turn with an empty thought where it has none: another vendor's model made it, or a client cut it."""
    if (
        not isinstance(message, dict)
        or not message.get("tool_calls")
        or message.get("reasoning_content") is not None
    ):
        return message
    return {**message, "reasoning_content": ""}


def _own(message: Json) -> Json:
    """A copy of a client's message that may be changed: the next attempt reads the original."""
    content = message.get("content")
    return (
        {**message, "content": [dict(_part(part)) for part in content]}
        if isinstance(content, list)
        else {**message}
    )


def _part(part: Any) -> Json:
    """A part of a message: some clients write words as they are."""
    return {"type": "text", "text": part} if isinstance(part, str) else part


def _drop_foreign_thoughts(flavour: Flavour, body: Json, notes: list[str]) -> None:
    """A client's own body, but for thoughts that another vendor gave it: this one takes none back."""
    foreign = flavour.unknown_message_fields
    messages = body["messages"]
    if all(foreign.isdisjoint(message) for message in messages):
        return
    body["messages"] = [
        {key: value for key, value in message.items() if key not in foreign} for message in messages
    ]
    notes.append(f"Reasoning of earlier turns was left out: {flavour.kind} takes none back.")


def adapt(flavour: Flavour, body: Json, notes: list[str]) -> None:
    """Say `body` as this flavour has it: its name for the limit, nothing it refuses."""
    if flavour.max_tokens_field == "max_tokens" and "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    for name in sorted(flavour.unknown_fields & body.keys()):
        del body[name]
        notes.append(f"'{name}' was left out: {flavour.kind} has no such setting.")
    if not flavour.tool_subsets:
        offer_only_allowed(body, notes)
    thoughts = False
    for message in body["messages"]:
        if message["role"] == "developer" and not flavour.developer_role:
            message["role"] = "system"
        for name in flavour.unknown_message_fields & message.keys():
            thoughts = thoughts or name in ("reasoning_content", "thinking_blocks", "reasoning_details")
            del message[name]
    if thoughts:
        notes.append(f"Reasoning of earlier turns was left out: {flavour.kind} takes none back.")
    if not flavour.cache_markers:
        drop_cache_markers(body["messages"], notes)


def _fit_model(body: Json, notes: list[str]) -> None:
    """Leave out what the model at hand refuses, and say its effort in a word it knows."""
    traits = traits_of(body["model"])
    if traits is None:
        return
    if "max_tokens" in body:
        body.setdefault("max_completion_tokens", body.pop("max_tokens"))
    effort = body.get("reasoning_effort")
    if effort is not None and (known := known_effort(effort, traits)) != effort:
        notes.append(f"Reasoning effort '{effort}' was sent as '{known}', which this model knows.")
        body["reasoning_effort"] = effort = known
    refuses = body.get("tools") and not traits.tools_beside_reasoning and effort != "none"
    if refuses and (effort is not None or traits.reasons_unasked):
        notes.append("Reasoning was left out: Chat Completions takes no tools beside it for this model.")
        body["reasoning_effort"] = effort = "none"
    fit_reasoning(body, effort, traits, notes)


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole completion. Raises the error that some vendors put into a 200."""
    body = response.body
    if b'"choices"' in body:
        return decode_response(body)
    if b'"output"' in body and read_object(body, "answer").get("object") == "response":
        return responses.decode_response(body)  # some gateways answer so to either
    raise parse_error(response, "")


def peek_chat(response: HttpResponse) -> ChatResponse:
    """What must be known of a completion that goes on to the client unchanged."""
    if b'"choices"' not in response.body:
        return parse_chat(response)
    return peek_response(response.body)


def _whole(body: bytes) -> ChatResponse:
    return parse_chat(HttpResponse(200, {}, body))


def new_stream() -> StreamParser:
    """A parser of one stream of chunks."""
    return sse_parser(FORMAT.new_decoder(), whole=_whole)


def parse_error(response: HttpResponse, provider: str) -> UpstreamError:
    """The error of a response that is not a success."""
    status = response.status if response.status >= 400 else None
    if status is None and not says_error(response.body):
        return UpstreamProtocolError("the provider's answer is not a chat completion", provider=provider)
    error = decode_error(response.body, status, provider)
    error.retry_after = retry_after(response.headers)
    return error


def build_embeddings(flavour: Flavour, request: EmbeddingRequest, target: Target) -> HttpRequest:
    """The HTTP request for vectors."""
    body = openai_embeddings.encode_request(request, knows_base64=flavour.base64_embeddings)
    notes: list[str] = []
    if "input_type" in body and not flavour.embedding_input_type:
        del body["input_type"]
        notes.append(f"'input_type' was left out: {flavour.kind} has no such setting.")
    return HttpRequest("POST", url_of(target, "/embeddings"), bearer(target), _encode(body), tuple(notes))


def parse_embeddings(response: HttpResponse) -> EmbeddingResponse:
    """The vectors, in input order."""
    return openai_embeddings.decode_response(response.body)


def peek_embeddings(response: HttpResponse, request: EmbeddingRequest) -> EmbeddingResponse:
    """What must be known of vectors that go on to the client unread."""
    return openai_embeddings.peek_response(response.body, request)


def build_models(target: Target) -> HttpRequest:
    """The request for the provider's list of models."""
    return HttpRequest("GET", url_of(target, "/models"), bearer(target))


def parse_models(response: HttpResponse) -> tuple[ModelInfo, ...]:
    """The list; context windows where a vendor says them (OpenRouter, Groq, vLLM, each in its own word)."""
    data = read_object(response.body, "model list").get("data")
    if not isinstance(data, list):
        raise UpstreamProtocolError("the provider's model list has no 'data'")
    return tuple(
        _model(entry) for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


_NO_YEAR = 253_402_300_800
"""The first second of the year 10,000, which no date holds."""


def _model(entry: Json) -> ModelInfo:
    windows = (entry.get(key) for key in ("context_length", "context_window", "max_model_len"))
    created = entry.get("created")
    return ModelInfo(
        id=entry["id"],
        created=int(created) if isinstance(created, (int, float)) and 0 <= created < _NO_YEAR else 0,
        context_window=next((int(size) for size in windows if isinstance(size, int) and size > 0), None),
    )


def adapter_of(flavour: Flavour) -> Adapter:
    """The adapter of one flavour."""

    def build(request: ChatRequest, target: Target) -> HttpRequest:
        return build_chat(flavour, request, target)

    return Adapter(
        kind=flavour.kind,
        wire=FORMAT,
        default_base_url=flavour.base_url,
        build_chat=build,
        parse_chat=parse_chat,
        peek_chat=peek_chat,
        new_stream=new_stream,
        parse_error=parse_error,
        build_models=build_models,
        parse_models=parse_models,
        build_embeddings=partial(build_embeddings, flavour),
        parse_embeddings=parse_embeddings,
        peek_embeddings=peek_embeddings,
        max_embedding_inputs=flavour.max_embedding_inputs,
    )


ADAPTER = adapter_of(OPENAI)
COMPATIBLE_ADAPTER = adapter_of(COMPATIBLE)
