"""When an answer without words or calls is none, and is asked for again."""

from __future__ import annotations

import pytest

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.chat.response import Usage
from intellirouter.inference.emptiness import is_nothing

PLAIN = ChatRequest(model="m", messages=(Message("user", (Text("hi"),)),))
STOPPED = ChatRequest(model="m", messages=PLAIN.messages, stop=("END",))


@pytest.mark.parametrize(
    ("reason", "usage", "request_", "thought", "nothing"),
    [
        ("tool_calls", Usage(1, 9), PLAIN, False, True),
        ("stop", Usage(1, 0), PLAIN, False, True),
        (None, Usage(1, 0), PLAIN, False, True),
        ("stop", Usage(1, 7), PLAIN, False, False),
        ("stop", Usage(1, 7, reasoning_tokens=7), PLAIN, True, True),
        ("stop", Usage(1, 7, reasoning_tokens=6), PLAIN, True, False),
        ("stop", None, PLAIN, False, True),
        ("stop", None, PLAIN, True, False),
        ("stop", Usage(1, 0, estimated=True), PLAIN, True, False),
        ("length", Usage(1, 0), PLAIN, False, False),
        ("content_filter", None, PLAIN, False, False),
        ("stop", Usage(1, 0), STOPPED, False, False),
    ],
)
def test_what_is_none(
    reason: str | None, usage: Usage | None, request_: ChatRequest, thought: bool, nothing: bool
) -> None:
    assert is_nothing(reason, usage, request_, thought=thought) is nothing  # type: ignore[arg-type]
