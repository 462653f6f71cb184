"""Parts of other dialects in chat messages, as some clients write them: read as what they are.

Cursor and others put Anthropic's blocks (`tool_use`, `tool_result`, `image`, `document`) or the parts of Responses
(`input_text`, `input_image`) into the messages of this dialect. No vendor of it takes them, so such a body never goes out
as it came.
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat.anthropic_messages import blocks
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.content import has_objects
from intellirouter.chat.openai_responses import content as responses
from intellirouter.chat.parts import Part

_OF_ANTHROPIC = frozenset(
    {"tool_use", "tool_result", "image", "document", "redacted_thinking", "search_result"}
)
_OF_RESPONSES = frozenset({"input_text", "output_text", "input_image", "input_file"})
_OF_OTHERS = _OF_ANTHROPIC | _OF_RESPONSES


def decode_other(part: Json, path: str) -> Part | None:
    """The part, where it is another dialect's; None where it is none of those."""
    kind = part.get("type")
    if kind in _OF_ANTHROPIC and not (
        kind in ("image", "document") and not isinstance(part.get("source"), dict)
    ):
        return blocks.decode_content([part], path)[0]
    if kind in _OF_RESPONSES:
        return responses.decode_content([part], path)[0]
    return None


def holds_others(body: Json) -> bool:
    """Whether any message has such a part, or the arguments of a call as an object: bodies that must be written anew."""
    messages: Any = body.get("messages")
    if type(messages) is not list:
        return False
    for message in messages:
        if type(message) is not dict:
            continue
        if "tool_calls" in message and has_objects(message["tool_calls"]):
            return True
        if type(parts := message.get("content")) is not list:
            continue
        if any(type(part) is dict and part.get("type") in _OF_OTHERS for part in parts):
            return True
    return False
