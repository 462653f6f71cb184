"""OpenAI's legacy Completions, and whatever serves them: base models of vLLM, llama.cpp and OpenAI itself."""

from __future__ import annotations

import dataclasses

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.openai_completions.format import FORMAT
from intellirouter.chat.response import ChatResponse
from intellirouter.providers import openai
from intellirouter.providers.adapter import HttpRequest, HttpResponse, StreamParser, Target
from intellirouter.providers.headers import bearer
from intellirouter.providers.stream import sse_parser


def build_chat(request: ChatRequest, target: Target) -> HttpRequest:
    """The HTTP request for one completion."""
    notes: list[str] = []
    body = FORMAT.encode_request(request, notes)
    accept = "text/event-stream" if request.stream else "application/json"
    url = openai.url_of(target, "/completions")
    return HttpRequest("POST", url, bearer(target, accept), msgspec.json.encode(body), tuple(notes))


def parse_chat(response: HttpResponse) -> ChatResponse:
    """A whole completion. Raises the error that some vendors put into a 200."""
    if b'"choices"' not in response.body:
        raise openai.parse_error(response, "")
    return FORMAT.decode_response(response.body)


def new_stream() -> StreamParser:
    """A parser of one stream of chunks."""
    return sse_parser(FORMAT.new_decoder())


ADAPTER = dataclasses.replace(
    openai.ADAPTER,
    kind="openai_completions",
    wire=FORMAT,
    build_chat=build_chat,
    parse_chat=parse_chat,
    peek_chat=None,
    new_stream=new_stream,
    build_embeddings=None,
    parse_embeddings=None,
    peek_embeddings=None,
)
