"""The few facts a router needs of an answer that it sends on unchanged: model, usage, finish reasons.

Decoding into narrow structs skips everything else several times faster than building the whole object.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.openai_chat.content import DIALECT
from intellirouter.chat.openai_chat.endings import decode_finish
from intellirouter.chat.openai_chat.response import decode_response
from intellirouter.chat.openai_chat.usage import written
from intellirouter.chat.response import ChatResponse, Choice, Usage

_UNTOLD = msgspec.Raw(b"")
"""Stands where a field is absent, which is this very object then."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_creation_input_tokens: msgspec.Raw = _UNTOLD


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    cached_tokens: msgspec.Raw = _UNTOLD
    prompt_cache_hit_tokens: msgspec.Raw = _UNTOLD
    cache_read_input_tokens: msgspec.Raw = _UNTOLD

    @property
    def plain(self) -> bool:
        """Whether it is counted as OpenAI does, whose names these are."""
        asked = self.prompt_tokens_details or _NONE
        return (
            (asked.cached_tokens or 0) <= self.prompt_tokens
            and asked.cache_creation_input_tokens is _UNTOLD
            and self.cached_tokens is _UNTOLD
            and self.prompt_cache_hit_tokens is _UNTOLD
            and self.cache_read_input_tokens is _UNTOLD
        )


class _Said(msgspec.Struct):
    content: msgspec.Raw = _UNTOLD


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Said | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    id: str = ""
    model: str = ""
    usage: _Usage | None = None


_answer = msgspec.json.Decoder(_Answer)
_NONE = _Details()
_SILENT = frozenset({b"", b"null", b'""', b"[]"})
_LONGEST_SILENCE = max(map(len, _SILENT))


def peek_response(body: bytes) -> ChatResponse:
    """A response whose choices carry only their finish reason, with `raw` to send on.

    An untidy answer is decoded in full instead, and so is one without words: it may hold a call, or nothing. Raises what
    `decode_response` does.
    """
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return decode_response(body)
    if not answer.choices or (answer.usage is not None and not answer.usage.plain):
        return decode_response(body)
    for choice in answer.choices:
        if choice.message is None or _is_silent(choice.message.content):
            return decode_response(body)
    choices = tuple(
        [
            Choice(finish_reason=decode_finish(choice.finish_reason)[0], index=index)
            for index, choice in enumerate(answer.choices)
        ]
    )
    return ChatResponse(
        id=answer.id,
        model=answer.model,
        choices=choices,
        usage=None if answer.usage is None else _usage(answer.usage),
        dialect=DIALECT,
        raw=body,
        unread=True,
    )


def _is_silent(content: msgspec.Raw) -> bool:
    words = memoryview(content)  # which copies nothing, however long it is
    return len(words) <= _LONGEST_SILENCE and bytes(words) in _SILENT


def _usage(said: _Usage) -> Usage:
    asked, answered = said.prompt_tokens_details or _NONE, said.completion_tokens_details or _NONE
    cached = asked.cached_tokens
    wrote, thought = said.completion_tokens, answered.reasoning_tokens
    if thought is not None or cached is None:
        wrote = written(said.prompt_tokens, wrote, thought, said.total_tokens)
    return Usage(
        input_tokens=said.prompt_tokens,
        output_tokens=wrote,
        cached_tokens=cached,
        cache_write_tokens=asked.cache_write_tokens,
        reasoning_tokens=thought,
        audio_input_tokens=asked.audio_tokens,
        audio_output_tokens=answered.audio_tokens,
        total=None if said.total_tokens == said.prompt_tokens + wrote else said.total_tokens,
    )
