"""Requests, both directions."""

from __future__ import annotations

from collections.abc import Mapping

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, Source
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import Text
from intellirouter.chat.prompt import as_prompt, refuse_all_but_text
from intellirouter.errors import InvalidRequest, UnsupportedByTarget

DIALECT = "openai_completions"
MAX_LOGPROBS = 5
_REFUSED: dict[str, tuple[object, ...]] = {
    "suffix": (None, ""),
    "echo": (None, False),
    "best_of": (None, 1),
}
_KNOWN = frozenset(
    """model prompt max_tokens temperature top_p presence_penalty frequency_penalty seed stop n user logprobs
    logit_bias stream stream_options suffix echo best_of""".split()
)
_SETTINGS = (
    "max_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "n",
    "user",
    "logit_bias",
)
_UNKNOWN = (
    "top_k",
    "min_p",
    "reasoning",
    "verbosity",
    "prediction",
    "metadata",
    "service_tier",
    "store",
    "prompt_cache_key",
)


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:
    """A completion request. Raises `InvalidRequest` for what no chat model can do."""
    body, options = take_options(body)
    for name, harmless in _REFUSED.items():
        if body.get(name) not in harmless:
            raise InvalidRequest(f"'{name}' cannot be asked of a chat model.", param=name)
    stream_options = fields.mapping(body, "stream_options") or {}
    likely = fields.integer(body, "logprobs", least=0, most=MAX_LOGPROBS)
    return ChatRequest(
        model=fields.required_name(body, "model"),
        messages=(Message("user", (Text(_prompt(body)),)),),
        max_tokens=fields.integer(body, "max_tokens", least=1),
        temperature=fields.number(body, "temperature"),
        top_p=fields.number(body, "top_p"),
        presence_penalty=fields.number(body, "presence_penalty"),
        frequency_penalty=fields.number(body, "frequency_penalty"),
        seed=fields.integer(body, "seed"),
        stop=fields.strings(body, "stop"),
        n=fields.integer(body, "n", least=1),
        logprobs=None if likely is None else True,
        top_logprobs=likely or None,
        logit_bias=fields.mapping(body, "logit_bias"),
        user=fields.name(body, "user"),
        stream=fields.boolean(body, "stream") or False,
        include_usage=fields.boolean(stream_options, "include_usage", "stream_options") or False,
        extra=fields.rest(body, _KNOWN),
        extra_dialect=DIALECT,
        options=options,
        source=Source(DIALECT, body, dict(headers)),
    )


def _prompt(body: Json) -> str:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequest("'prompt' must be one string.", param="prompt")
    return prompt


def encode_request(request: ChatRequest, notes: list[str]) -> Json:
    """The JSON object of a request. See `WireFormat.encode_request`."""
    if request.source is not None and request.source.dialect == DIALECT:
        body = {**request.source.body, "model": request.model}
        body.pop("stream", None)
        body.pop("stream_options", None)
    else:
        body = _encode_fields(request, notes)
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _encode_fields(request: ChatRequest, notes: list[str]) -> Json:
    refuse_all_but_text(request, "A completions model", notes)
    if request.output is not None and request.output.kind != "text":
        raise UnsupportedByTarget("A completions model cannot be held to JSON.", param="response_format")
    body: Json = {"model": request.model, "prompt": as_prompt(request.messages, notes)}
    body.update((name, value) for name in _SETTINGS if (value := getattr(request, name)) is not None)
    if request.stop:
        body["stop"] = list(request.stop)
    if request.logprobs:
        body["logprobs"] = min(request.top_logprobs or 1, MAX_LOGPROBS)
    lost = [name for name in _UNKNOWN if getattr(request, name) is not None]
    if request.extra_dialect == DIALECT:
        body |= request.extra
    else:
        lost += request.extra
    notes.extend(f"'{name}' was left out: a completions model has no such setting." for name in lost)
    return body
