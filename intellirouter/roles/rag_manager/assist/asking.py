"""One chat model, asked once, within a time."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.errors import IntelliRouterError, RateLimited
from intellirouter.inference.offline_transport import ANSWER_ID
from intellirouter.peers.contract import Call, ChatCompleter

_THOUGHT = "</think>"
MOST_SAID = 500
"""Of what an error says, in characters."""


class NotWritten(Exception):
    """The model gave nothing. `reason` is safe to show; `wait` is how many seconds its limit asks for, where it is one's own."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class Assistant:
    """`chat` is the Router, or None where a command works on the node's files without one."""

    def __init__(self, chat: ChatCompleter | None) -> None:
        self._chat = chat

    async def ask(
        self, model: str, instruction: str, text: str, *, most_tokens: int, seconds: float, call: Call
    ) -> str:
        """What the model writes, without what it thought. Raises `NotWritten`."""
        if self._chat is None:
            raise NotWritten("no Router is at hand here; a running RagManager asks it")
        request = ChatRequest(
            model=model,
            messages=(Message("system", (Text(instruction),)), Message("user", (Text(text),))),
            max_tokens=most_tokens,
        )
        until = min(time.monotonic() + seconds, call.deadline or math.inf)
        asked = replace(call, deadline=until, idempotency_key=None, told_cost=None)
        try:
            async with asyncio.timeout_at(until):
                answer = await self._chat.complete(request, asked)
        except TimeoutError as late:
            raise NotWritten(f"{model} did not answer within {seconds:.3g} s") from late
        except RateLimited as limited:
            raise NotWritten(limited.message[:MOST_SAID], limited.retry_after) from limited
        except IntelliRouterError as refused:
            raise NotWritten(refused.message[:MOST_SAID]) from refused
        if answer.id == ANSWER_ID:  # what it says would be kept, found and cited as if a model had written it
            raise NotWritten(f"{model} is the offline provider here, which only quotes: set a provider's key")
        text = answer.choices[0].text if answer.choices else ""
        if text.lstrip().startswith("<think>"):
            text = text.partition(_THOUGHT)[2]
        if not (text := text.strip()):
            raise NotWritten(f"{model} answered with no text")
        return text
