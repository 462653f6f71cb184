"""How a step asks the Router: told as it comes where somebody follows the run, and never half of one answer and half of another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from intellirouter.chains.ports import Ticket
from intellirouter.chat.delta import StreamEvent, TextDelta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.errors import IntelliRouterError, StreamInterrupted, UpstreamProtocolError
from intellirouter.roles.chain_engine.reach import RouterModels

WHOLE = ChatResponse(id="1", model="m", choices=(Choice((Text("whole"),)),), cost_usd=0.5)


class Breaking:
    """Streams these texts, and then fails."""

    def __init__(self, texts: tuple[str, ...], failure: IntelliRouterError | None) -> None:
        self.texts, self.failure = texts, failure

    async def complete(self, _request: ChatRequest, _call: Any) -> ChatResponse:
        return WHOLE

    async def stream(self, _request: ChatRequest, _call: Any) -> AsyncIterator[StreamEvent]:
        for text in self.texts:
            yield StreamEvent((TextDelta(text),))
        if self.failure:
            raise self.failure


@pytest.mark.parametrize(
    ("texts", "failure", "followed", "answer"),
    [
        (("a", "b"), None, True, "ab"),
        (("a", "b"), None, False, "whole"),
        ((), StreamInterrupted("broke"), True, "whole"),
        (("",), UpstreamProtocolError("no stream"), True, "whole"),
        (("a",), StreamInterrupted("broke"), True, None),
        (("a",), UpstreamProtocolError("no stream"), True, None),
    ],
)
async def test_a_stream_that_breaks_is_asked_again_while_nothing_of_it_was_told(
    texts: tuple[str, ...], failure: IntelliRouterError | None, followed: bool, answer: str | None
) -> None:
    chat: Any = Breaking(texts, failure)
    heard: list[str] = []
    ticket = Ticket("run/step", 5.0, tell=heard.append if followed else None)
    asked = RouterModels(chat).complete(ChatRequest(model="m", messages=()), ticket)
    if answer is None:
        with pytest.raises(type(failure or Exception)):
            await asked
    else:
        response, _ = await asked
        assert response.choices[0].text == answer
    assert heard == [text for text in texts if text and followed]
