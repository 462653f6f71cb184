"""OpenAI's encrypted thoughts in dialects whose thoughts carry a signature: as that signature, and read back from it.

Google's clients take a signature for bytes in base64, so what goes out is that everywhere.
"""

from __future__ import annotations

import base64
import binascii

from intellirouter.chat.parts import Thinking

_MARK = b"intellirouter:thought"  # a multiple of three bytes, so its base64 begins the whole
_BEGIN = base64.b64encode(_MARK).decode()


def signature_of(signature: str | None, encrypted: str | None, item_id: str | None) -> str | None:
    """What stands as the signature of a thought: its own, or the seal around its encrypted words."""
    if signature or not encrypted:
        return signature
    return base64.b64encode(b"%b:%b:%b" % (_MARK, (item_id or "").encode(), encrypted.encode())).decode()


def is_thought_seal(signature: object) -> bool:
    """True for a signature only we can read."""
    return isinstance(signature, str) and signature.startswith(_BEGIN)


def unsealed(words: str, signature: str | None) -> Thinking:
    """The thought of these words and what stands as its signature."""
    if signature is None or not is_thought_seal(signature):
        return Thinking(words, signature or None)
    try:
        _, item_id, encrypted = (
            base64.b64decode(signature, validate=True)[len(_MARK) :].decode().split(":", 2)
        )
    except (binascii.Error, ValueError):
        return Thinking(words)
    return Thinking(words, encrypted=encrypted, id=item_id or None)
