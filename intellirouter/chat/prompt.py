"""A conversation as the one prompt of a model that knows no conversations."""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.chat.billing import BILLING
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import File, Part, RedactedThinking, Refusal, Text, Thinking
from intellirouter.errors import UnsupportedByTarget

_SPEAKERS = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant"}


def refuse_all_but_text(request: ChatRequest, who: str, notes: list[str]) -> None:
    """Raise `UnsupportedByTarget` where `request` asks for tools or speech, which `who` cannot do."""
    if request.tools and not (request.tool_choice and request.tool_choice.kind == "none"):
        raise UnsupportedByTarget(f"{who} cannot call tools.", param="tools")
    if request.tools:
        notes.append(f"The tools were not offered: {who[0].lower()}{who[1:]} cannot call any.")
    if any(getattr(part, "cache", None) for message in request.messages for part in message.content):
        notes.append("Prompt-cache markers were left out: this provider caches by itself.")
    if "audio" in request.modalities:
        raise UnsupportedByTarget(f"{who} does not speak.", param="modalities")


def as_prompt(messages: Iterable[Message], notes: list[str]) -> str:
    """The words of a lone user turn as they are; several turns as a transcript that the model goes on with."""
    turns = [(message.role, text_of(message.content, notes)) for message in messages]
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    notes.append("The conversation was sent as one prompt, a line a turn.")
    lines = [f"{_SPEAKERS.get(role, 'Tool')}: {words}" for role, words in turns]
    return "\n\n".join([*lines, "Assistant:"])


def text_of(parts: Iterable[Part], notes: list[str]) -> str:
    """The words of a turn. Raises `UnsupportedByTarget` for what is no text."""
    words: list[str] = []
    for part in parts:
        match part:
            case Text() if part.text.startswith(BILLING):
                pass
            case Text() | Refusal():
                words.append(part.text)
            case File() if part.text is not None:
                words.append(part.text)
            case Thinking() | RedactedThinking():
                notes.append("Reasoning of earlier turns was left out.")
            case _:
                raise UnsupportedByTarget(
                    f"A prompt is text alone: it holds no {type(part).__name__}.", param="messages"
                )
    return "\n".join(words)
