"""The request that asks another target to go on.

The partial answer goes in as the assistant's turn, followed by an instruction: every chat model takes that, while a
trailing assistant turn (prefill) is refused by some.
"""

from __future__ import annotations

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text

INSTRUCTION = (
    "Your answer was cut off by a technical fault. Continue it from exactly the character where it stopped. "
    "Repeat nothing, explain nothing, and do not mention the interruption."
)
LEAST_TOKENS = 16
ASKED_CHARACTERS = 4_000


def continuation(request: ChatRequest, said: str, tokens: int = 0) -> ChatRequest:
    """The request, with what was said (in so many tokens) and the instruction to go on; unchanged when nothing was said."""
    if not said:
        return request
    partial = Message("assistant", (Text(said),))
    onward = Message("user", (Text(INSTRUCTION),))
    changed = request.changed(messages=(*request.messages, partial, onward))
    if request.max_tokens is None:
        return changed
    return changed.routed(max_tokens=max(LEAST_TOKENS, request.max_tokens - tokens))


def may_continue(request: ChatRequest) -> bool:
    """False where a second model could not continue without garbage: structured output, several choices."""
    structured = request.output is not None and request.output.kind != "text"
    return not structured and (request.n or 1) == 1 and not request.logprobs


def asked_of(request: ChatRequest) -> str:
    """The words that the answer is about: the last ones of the user."""
    for message in reversed(request.messages):
        if message.role == "user" and message.text.strip():
            return message.text[-ASKED_CHARACTERS:]
    return ""
