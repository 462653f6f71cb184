"""OpenAI's Responses API, and whatever serves it."""

from __future__ import annotations

import dataclasses

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.fit.fitting import fit
from intellirouter.chat.foreign import MAX_VALUES
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_chat.models import fit as fit_reasoning
from intellirouter.chat.openai_chat.models import known_effort, traits_of
from intellirouter.chat.openai_responses.format import FORMAT
from intellirouter.chat.openai_responses.request import LOGPROBS
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import UpstreamProtocolError
from intellirouter.providers import openai
from intellirouter.providers.adapter import HttpRequest, HttpResponse, StreamParser, Target
from intellirouter.providers.count import read_count
from intellirouter.providers.headers import bearer
from intellirouter.providers.notes import told
from intellirouter.providers.stream import sse_parser
from intellirouter.providers.takes import takes_of

_COUNTED = frozenset(
    """model input instructions tools tool_choice parallel_tool_calls reasoning text truncation conversation
    previous_response_id""".split()
)


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one response."""
    notes: list[str] = []
    request, names = fit(request, takes_of("openai_responses", request.model), notes)
    body = FORMAT.encode_request(request, notes)
    if request.source is None or request.source.dialect != FORMAT.name:
        _fit_model(body, notes)
    accept = "text/event-stream" if request.stream else "application/json"
    url = openai.url_of(target, "/responses")
    return HttpRequest("POST", url, bearer(target, accept), msgspec.json.encode(body), told(notes), names)


def _fit_model(body: Json, notes: list[str]) -> None:
    """Leave out what the model at hand refuses, and say its effort in a word it knows."""
    traits = traits_of(body["model"])
    if traits is None:
        return
    reasoning = body.get("reasoning") or {}
    effort = reasoning.get("effort")
    if effort is not None and (known := known_effort(effort, traits)) != effort:
        notes.append(f"Reasoning effort '{effort}' was sent as '{known}', which this model knows.")
        reasoning["effort"] = effort = known
    fit_reasoning(body, effort, traits, notes)
    if LOGPROBS in (include := body.get("include") or []) and "top_logprobs" not in body:
        include.remove(LOGPROBS)


def build_count(request: ChatRequest, target: Target) -> HttpRequest:
    """The request for the number of tokens a response's input has."""
    notes: list[str] = []
    request = fit(request, takes_of("openai_responses", request.model), notes).request
    body = FORMAT.encode_request(request, notes)
    body = {name: value for name, value in body.items() if name in _COUNTED}
    url = openai.url_of(target, "/responses/input_tokens")
    return HttpRequest("POST", url, bearer(target), msgspec.json.encode(body), tuple(notes))


def parse_count(response: HttpResponse) -> int:
    """The number."""
    return read_count(response.body, "input_tokens")


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole response. Raises the error that a failed one carries."""
    if b'"output"' not in response.body:
        if b'"error"' in response.body:
            raise openai.parse_error(response, "")
        raise UpstreamProtocolError("the provider's answer is not a response")
    answer = FORMAT.decode_response(response.body)
    if answer.choices[0].finish_reason is None:
        raise UpstreamProtocolError("the provider answered before the response was finished")
    return answer


def _whole(body: bytes) -> ChatResponse:
    return parse_chat(HttpResponse(200, {}, body))


def new_stream() -> StreamParser:
    """A parser of one stream of events, of which the last repeats the whole answer."""
    return sse_parser(FORMAT.new_decoder(), MAX_VALUES, _whole)


ADAPTER = dataclasses.replace(
    openai.ADAPTER,
    kind="openai_responses",
    wire=FORMAT,
    build_chat=build_chat,
    parse_chat=parse_chat,
    peek_chat=None,
    new_stream=new_stream,
    build_count=build_count,
    parse_count=parse_count,
)
