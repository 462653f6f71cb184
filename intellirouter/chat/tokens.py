"""An estimate of a request's tokens, without any vendor's tokenizer.

About four characters of Latin text make a token, other scripts need more; pictures and documents cost by size. The
estimate serves limits, budgets and window trimming before a request; what was really used comes from the vendor.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)

CHARACTERS_PER_TOKEN = 4
MESSAGE_TOKENS = 4
IMAGE_TOKENS = 1_000
AUDIO_BYTES_PER_TOKEN = 600
DOCUMENT_BYTES_PER_TOKEN = 12


def text_tokens(text: str) -> int:
    """Characters beyond ASCII count double: their scripts are cut into smaller pieces."""
    if text.isascii():
        return -(-len(text) // CHARACTERS_PER_TOKEN)
    beyond = len(text.encode("utf-8", "surrogatepass")) - len(text)
    return -(-(len(text) + beyond) // CHARACTERS_PER_TOKEN)


def part_tokens(part: Part) -> int:
    """Tokens of one part."""
    match part:
        case Text() | Refusal() | Thinking():
            return text_tokens(part.text)
        case ToolCall():
            return text_tokens(part.name) + text_tokens(part.arguments)
        case Image():
            return IMAGE_TOKENS
        case Audio():
            return len(part.data) // AUDIO_BYTES_PER_TOKEN
        case File():
            return (
                text_tokens(part.text)
                if part.text is not None
                else len(part.data or "") // DOCUMENT_BYTES_PER_TOKEN
            )
        case RedactedThinking():
            return len(part.data) // CHARACTERS_PER_TOKEN
        case Opaque():
            return len(msgspec.json.encode(part.data)) // CHARACTERS_PER_TOKEN
        case _:
            return sum(part_tokens(inner) for inner in part.content)


def estimate_tokens(request: ChatRequest) -> int:
    """Tokens of everything the model will read."""
    total = MESSAGE_TOKENS * len(request.messages)
    for message in request.messages:
        for part in message.content:
            total += text_tokens(part.text) if type(part) is Text else part_tokens(part)
    for tool in request.tools:
        total += text_tokens(tool.name) + text_tokens(tool.description or "")
        total += len(msgspec.json.encode(tool.parameters or tool.data or {})) // CHARACTERS_PER_TOKEN
    return total
