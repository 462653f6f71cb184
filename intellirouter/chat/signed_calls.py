"""Signatures of tool calls, in dialects that have no place for them.

Gemini signs a call and wants the signature back with it. Anthropic's and OpenAI's Responses dialects have no field for
that, but blocks of encrypted reasoning that every client sends back unchanged: such a block goes out before the call,
says whose it is, and is taken off again when the conversation returns.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from intellirouter.chat.parts import Part, RedactedThinking, ToolCall

_MARK = "intellirouter:call:"


def seal_call(call_id: str, signature: str) -> str:
    """The block's opaque words."""
    return f"{_MARK}{call_id}:{signature}"


def is_call_seal(data: object) -> bool:
    """True for words only we can read."""
    return isinstance(data, str) and data.startswith(_MARK)


def with_signatures(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts of a turn without these blocks, each call with its signature."""
    parts = tuple(parts)
    seals = [p.data for p in parts if isinstance(p, RedactedThinking) and is_call_seal(p.data)]
    if not seals:
        return parts
    known = dict(seal.removeprefix(_MARK).rsplit(":", 1) for seal in seals if seal.count(":") > 2)
    kept = (p for p in parts if not (isinstance(p, RedactedThinking) and is_call_seal(p.data)))
    return tuple(
        msgspec.structs.replace(p, signature=p.signature or known.get(p.id)) if isinstance(p, ToolCall) else p
        for p in kept
    )
