"""Anthropic, and whatever serves its Messages API."""

from __future__ import annotations

import msgspec

from intellirouter.chat.anthropic_messages.errors import decode_error
from intellirouter.chat.anthropic_messages.format import FORMAT
from intellirouter.chat.fields import Json
from intellirouter.chat.fit.fitting import fit
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.response import read_object
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
from intellirouter.providers.count import read_count
from intellirouter.providers.headers import USER_AGENT, retry_after
from intellirouter.providers.notes import told
from intellirouter.providers.stream import sse_parser
from intellirouter.providers.takes import takes_of

VERSION = "2023-06-01"
_PASSED_ON = ("anthropic-beta", "anthropic-version")
_COUNTED = frozenset(
    """model messages system tools tool_choice thinking cache_control context_management mcp_servers
    output_config""".split()
)


def _headers(target: Target, accept: str = "application/json") -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": accept,
        "user-agent": USER_AGENT,
        "anthropic-version": VERSION,
    }
    if target.api_key is not None:
        headers["x-api-key"] = target.api_key.get_secret_value()
    return headers


def _url(target: Target, path: str) -> str:
    """The endpoint with `path`; both `https://host` and `https://host/v1` are customary."""
    place = joined(target.base_url, "").partition("?")[0]
    return joined(target.base_url, path if place.endswith("/v1") else f"/v1{path}")


def _passed_on(request: ChatRequest) -> dict[str, str]:
    """The client's own version and betas, when it speaks this dialect."""
    if request.extra_dialect != FORMAT.name:
        return {}
    return {name: value for name, value in request.vendor_headers.items() if name in _PASSED_ON}


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one message."""
    notes: list[str] = []
    request, names = fit(request, takes_of("anthropic", request.model), notes)
    body = FORMAT.encode_request(request, notes)
    headers = _headers(target, "text/event-stream" if request.stream else "application/json")
    headers |= _passed_on(request) | dict(target.headers)
    url = _url(target, "/messages")
    return HttpRequest("POST", url, tuple(headers.items()), msgspec.json.encode(body), told(notes), names)


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole message."""
    if b'"error"' in response.body and b'"content"' not in response.body:
        raise parse_error(response, "")
    return FORMAT.decode_response(response.body)


def _whole(body: bytes) -> ChatResponse:
    return parse_chat(HttpResponse(200, {}, body))


def new_stream() -> StreamParser:
    """A parser of one stream of events."""
    return sse_parser(FORMAT.new_decoder(), whole=_whole)


def parse_error(response: HttpResponse, provider: str) -> UpstreamError:
    """The error of a response that is not a success."""
    error = decode_error(response.body, response.status if response.status >= 400 else None, provider)
    error.retry_after = retry_after(response.headers)
    return error


def build_count(request: ChatRequest, target: Target) -> HttpRequest:
    """The request for the number of tokens a message's input has: the message, without what only answering needs."""
    notes: list[str] = []
    request = fit(request, takes_of("anthropic", request.model), notes).request
    body = FORMAT.encode_request(request, notes)
    body = {name: value for name, value in body.items() if name in _COUNTED}
    headers = _headers(target) | _passed_on(request) | dict(target.headers)
    url = _url(target, "/messages/count_tokens")
    return HttpRequest("POST", url, tuple(headers.items()), msgspec.json.encode(body), tuple(notes))


def parse_count(response: HttpResponse) -> int:
    """The number."""
    return read_count(response.body, "input_tokens")


def build_models(target: Target) -> HttpRequest:
    """The request for the list of models."""
    return HttpRequest(
        "GET", _url(target, "/models?limit=1000"), tuple((_headers(target) | dict(target.headers)).items())
    )


def parse_models(response: HttpResponse) -> tuple[ModelInfo, ...]:
    """The list, with what it says of context and output."""
    data = read_object(response.body, "model list").get("data")
    if not isinstance(data, list):
        raise UpstreamProtocolError("the provider's model list has no 'data'")
    return tuple(
        _model(entry) for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def _model(entry: Json) -> ModelInfo:
    window, longest = entry.get("max_input_tokens"), entry.get("max_tokens")
    return ModelInfo(
        id=entry["id"],
        context_window=window if isinstance(window, int) else None,
        max_output_tokens=longest if isinstance(longest, int) else None,
    )


ADAPTER = Adapter(
    kind="anthropic",
    wire=FORMAT,
    default_base_url="https://api.anthropic.com",
    build_chat=build_chat,
    parse_chat=parse_chat,
    new_stream=new_stream,
    parse_error=parse_error,
    build_models=build_models,
    parse_models=parse_models,
    build_count=build_count,
    parse_count=parse_count,
)
