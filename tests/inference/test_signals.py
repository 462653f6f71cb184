"""What an answer says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.chat.model import ChatRequest, Message, Tool
from intellirouter.chat.openai_chat.peek import peek_response
from intellirouter.chat.parts import Refusal, Text, ToolCall
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.inference.signals import signal_of

TOOL = Tool(
    "find", parameters={"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
)
REQUEST = ChatRequest(model="m", messages=(Message("user", (Text("hi"),)),), tools=(TOOL,))


def answer(*content: Any, **more: Any) -> ChatResponse:
    return ChatResponse(id="1", model="m", choices=(Choice(content, **more),))


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (answer(Text("fine")), None),
        (answer(Text("  ")), "empty"),
        (answer(), "empty"),
        (answer(Text("and then"), finish_reason="length"), "cut"),
        (answer(Refusal("no")), "refused"),
        (answer(Text(""), finish_reason="content_filter"), "refused"),
        (answer(ToolCall("c", "find", '{"city": "Rome"}')), None),
        (answer(ToolCall("c", "find", '{"town": "Rome"}')), "broken_call"),
        (answer(ToolCall("c", "find", '{"city": "Ro')), "broken_call"),
        (answer(ToolCall("c", "find", '["Rome"]')), "broken_call"),
        (answer(ToolCall("c", "lose", "{}")), "broken_call"),
        (answer(ToolCall("c", "find", "x" * 100_000)), None),  # nobody reads so much to know it
        (answer(ToolCall("c", "find", "free text", kind="custom")), None),
    ],
)
def test_an_answer_gives_itself_away(response: ChatResponse, kind: str | None) -> None:
    assert signal_of(response, REQUEST) == kind


def test_an_answer_that_went_on_unread_is_not_taken_for_empty() -> None:
    body = b'{"id":"1","model":"m","choices":[{"finish_reason":"%s","message":{"role":"assistant","content":"words"}}]}'
    assert signal_of(peek_response(body % b"stop"), REQUEST) is None
    assert signal_of(peek_response(body % b"length"), REQUEST) == "cut"
