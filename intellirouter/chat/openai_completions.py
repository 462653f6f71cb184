"""OpenAI's legacy Completions, for clients: one prompt, answered by a chat model as a conversation of one turn.

Source: OpenAI API reference, "Completions". What a chat model cannot do (`suffix`, `echo`, `best_of`, prompts of token
ids, several prompts) is refused by name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.delta import Delta, Finish, RefusalDelta, Start, TextDelta, UsageDelta
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.openai_chat.errors import error_envelope
from intellirouter.chat.openai_chat.format import FORMAT as CHAT_FORMAT
from intellirouter.chat.openai_chat.response import encode_finish
from intellirouter.chat.openai_chat.usage import encode_usage
from intellirouter.chat.options import take_options
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Usage
from intellirouter.chat.sse import format_event
from intellirouter.errors import IntelliRouterError, InvalidRequest

_REFUSED: dict[str, tuple[object, ...]] = {
    "suffix": (None, ""),
    "echo": (None, False),
    "best_of": (None, 1),
    "logprobs": (None, 0),
}
_encode = msgspec.json.Encoder(enc_hook=str).encode


def decode_request(body: Json, headers: Mapping[str, str]) -> ChatRequest:  # noqa: ARG001  the shape of a WireFormat
    """A completion request. Raises `InvalidRequest` for what no chat model can do."""
    body, options = take_options(body)
    for name, harmless in _REFUSED.items():
        if body.get(name) not in harmless:
            raise InvalidRequest(f"'{name}' cannot be asked of a chat model.", param=name)
    stream_options = fields.mapping(body, "stream_options") or {}
    return ChatRequest(
        model=fields.required_text(body, "model"),
        messages=(Message("user", (Text(_prompt(body)),)),),
        max_tokens=fields.integer(body, "max_tokens", least=1),
        temperature=fields.number(body, "temperature"),
        top_p=fields.number(body, "top_p"),
        presence_penalty=fields.number(body, "presence_penalty"),
        frequency_penalty=fields.number(body, "frequency_penalty"),
        seed=fields.integer(body, "seed"),
        stop=fields.strings(body, "stop"),
        n=fields.integer(body, "n", least=1),
        user=fields.text(body, "user"),
        stream=fields.boolean(body, "stream") or False,
        include_usage=fields.boolean(stream_options, "include_usage", "stream_options") or False,
        options=options,
    )


def _prompt(body: Json) -> str:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequest("'prompt' must be one string.", param="prompt")
    return prompt


def encode_response(response: ChatResponse) -> bytes:
    """The client's JSON."""
    body: Json = {
        "id": response.id,
        "object": "text_completion",
        "created": response.created or int(time.time()),
        "model": response.model,
        "choices": [
            _choice(
                choice.index,
                choice.text or choice.refusal or "",
                encode_finish(choice.finish_reason, None) or "stop",
            )
            for choice in response.choices
        ],
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    return _encode(body)


def _choice(index: int, text: str, finish: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


class CompletionEncoder:
    """See `EventEncoder`."""

    def __init__(self, request: ChatRequest) -> None:
        self._head: Json = {
            "id": "",
            "object": "text_completion",
            "created": int(time.time()),
            "model": request.model,
        }
        self._include_usage = request.include_usage
        self._usage: Usage | None = None

    def encode(self, deltas: tuple[Delta, ...]) -> bytes:
        """One chunk per delta that says something."""
        return b"".join([self._encode_one(delta) for delta in deltas])

    def finish(self) -> bytes:
        """The usage chunk, if asked for, and `[DONE]`."""
        usage = b""
        if self._include_usage and self._usage is not None:
            usage = format_event(_encode({**self._head, "choices": [], "usage": encode_usage(self._usage)}))
        return usage + b"data: [DONE]\n\n"

    def error(self, error: IntelliRouterError) -> bytes:
        """An error object where a chunk was expected, and no `[DONE]`."""
        return format_event(_encode(error_envelope(error)))

    def _encode_one(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta() | RefusalDelta():
                return self._chunk(_choice(delta.choice, delta.text, None))
            case Finish():
                return self._chunk(_choice(delta.choice, "", encode_finish(delta.reason, None)))
            case Start():
                self._head["id"] = delta.id or self._head["id"]
                self._head["model"] = delta.model or self._head["model"]
                self._usage = delta.usage or self._usage
            case UsageDelta():
                self._usage = delta.usage
            case _:
                pass
        return b""

    def _chunk(self, choice: Json) -> bytes:
        return format_event(_encode({**self._head, "choices": [choice]}))


FORMAT = replace(
    CHAT_FORMAT,
    name="openai_completions",
    decode_request=decode_request,
    encode_response=encode_response,
    new_encoder=CompletionEncoder,
    relay_end=b"",
)
