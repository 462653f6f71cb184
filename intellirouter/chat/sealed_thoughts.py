"""Thoughts of one vendor in the dialect of another: what seals them stands there as their signature.

A vendor refuses a conversation with a signature it did not write. So whatever the dialects of Anthropic, Google and
Mistral show of another vendor's thoughts is marked as ours: it comes back as it was for the vendor who thought it, and
is left out for the one whose dialect it was in. OpenAI's encrypted thoughts have no signature and travel likewise.
Google's clients take a signature for bytes in base64, so what goes out is that everywhere.
"""

from __future__ import annotations

import base64
import binascii

from intellirouter.chat.parts import Thinking

_MARK = b"intellirouter:thought"  # a multiple of three bytes, so its base64 begins the whole
_BEGIN = base64.b64encode(_MARK).decode()


def foreign_signature(signature: str | None, encrypted: str | None, item_id: str | None) -> str | None:
    """The seal of a thought from elsewhere; None for one that nothing seals."""
    if signature:
        inner = f":signed:{signature}"
    elif encrypted:
        inner = f":{item_id or ''}:{encrypted}"
    else:
        return None
    return base64.b64encode(_MARK + inner.encode()).decode()


def is_thought_seal(signature: object) -> bool:
    """True for a signature only we can read."""
    return isinstance(signature, str) and signature.startswith(_BEGIN)


def unsealed(words: str, signature: str | None) -> Thinking:
    """The thought of these words and what stands as its signature."""
    if signature is None or not is_thought_seal(signature):
        return Thinking(words, signature or None)
    try:
        inner = base64.b64decode(
            signature, b"-_" if "-" in signature or "_" in signature else None, validate=True
        )
        _, kind, sealed = inner[len(_MARK) :].decode().split(":", 2)
    except (binascii.Error, ValueError):
        return Thinking(words)
    return Thinking(words, sealed) if kind == "signed" else Thinking(words, encrypted=sealed, id=kind or None)
