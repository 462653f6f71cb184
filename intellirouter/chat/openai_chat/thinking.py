"""What a model answered: text and thoughts, in the several shapes vendors of this dialect use.

OpenAI, DeepSeek and vLLM send `content` as a string and thoughts beside it; Mistral sends `content` as an array of
`text` and `thinking` chunks when its model reasons.
"""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.content import DIALECT, decode_thinking, thinking_words
from intellirouter.chat.parts import Opaque, Part, Text, Thinking


def decode_answer_content(message: Json) -> tuple[Part, ...]:
    """Thoughts first, then what was said."""
    content = message.get("content")
    parts: list[Part] = list(decode_thinking(message))
    annotations = message.get("annotations")
    notes = (
        tuple(note for note in annotations if isinstance(note, dict)) if isinstance(annotations, list) else ()
    )
    if isinstance(content, str):
        if content:
            parts.append(Text(content, annotations=notes))
    elif isinstance(content, list):
        parts.extend(decode_chunks(content))
    return tuple(parts)


def decode_chunks(chunks: list[Any]) -> list[Part]:
    """Mistral's content chunks."""
    parts: list[Part] = []
    for chunk in chunks:
        if isinstance(chunk, str):
            parts.append(Text(chunk))
        elif not isinstance(chunk, dict):
            continue
        elif chunk.get("type") == "text":
            parts.append(Text(str(chunk.get("text") or "")))
        elif chunk.get("type") == "thinking":
            signature = chunk.get("signature")
            kept = signature if isinstance(signature, str) else None
            parts.append(
                Thinking(
                    thinking_words(chunk.get("thinking")), signature=kept, signer="mistral" if kept else None
                )
            )
        else:
            parts.append(Opaque(DIALECT, chunk))
    return parts
