"""The few facts a router needs of an answer that it sends on unchanged: model, usage, finish reasons.

Decoding into a narrow struct skips everything else several times faster than building the whole object.
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.openai_chat.content import DIALECT
from intellirouter.chat.openai_chat.response import decode_finish, decode_response
from intellirouter.chat.openai_chat.usage import decode_usage
from intellirouter.chat.response import ChatResponse, Choice


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    id: str = ""
    model: str = ""
    usage: dict[str, Any] | None = None


_answer = msgspec.json.Decoder(_Answer)


def peek_response(body: bytes) -> ChatResponse:
    """A response whose choices carry only their finish reason, with `raw` to send on.

    An untidy answer is decoded in full instead. Raises `UpstreamProtocolError`.
    """
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return decode_response(body)
    choices = tuple(
        Choice(finish_reason=decode_finish(choice.finish_reason)[0], index=index)
        for index, choice in enumerate(answer.choices)
    )
    return ChatResponse(
        id=answer.id,
        model=answer.model,
        choices=choices,
        usage=decode_usage(answer.usage),
        dialect=DIALECT,
        raw=body,
    )
