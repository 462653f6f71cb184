"""Thoughts of one vendor in the dialect of another: what seals them stands there as their signature.

A vendor refuses a conversation with a signature it did not write. So whatever the dialects of Anthropic, Google and
Mistral show of another vendor's thoughts is marked as ours: it comes back as it was for the vendor who thought it, and
is left out for the one whose dialect it was in. OpenAI's encrypted thoughts have no signature and travel likewise.
Google's clients take a signature for bytes in base64, so what goes out is that everywhere.
"""

from __future__ import annotations

import base64
import binascii
from typing import get_args

from intellirouter.chat.delta import ThinkingDelta
from intellirouter.chat.parts import Thinking, Vendor

_MARK = b"intellirouter:thought"  # a multiple of three bytes, so its base64 begins the whole
_BEGIN = base64.b64encode(_MARK).decode()
_VENDORS: dict[str, Vendor] = {vendor: vendor for vendor in get_args(Vendor)}


def signature_for(vendor: Vendor, part: Thinking | ThinkingDelta) -> str | None:
    """What stands as the signature in the vendor's dialect: its own, or the seal of another's; None where nothing seals."""
    if part.signature and part.signer == vendor:
        return part.signature
    if part.signature:
        inner = f":signed{'-' if part.signer else ''}{part.signer or ''}:{part.signature}"
    elif part.encrypted:
        inner = f":{part.id or ''}:{part.encrypted}"
    else:
        return None
    return base64.b64encode(_MARK + inner.encode()).decode()


def is_thought_seal(signature: object) -> bool:
    """True for a signature only we can read."""
    return isinstance(signature, str) and signature.startswith(_BEGIN)


def unsealed(words: str, signature: str | None, vendor: Vendor) -> Thinking:
    """The thought of these words and what stands as its signature in the vendor's dialect."""
    if signature is None or not is_thought_seal(signature):
        return Thinking(words, signature, signer=vendor) if signature else Thinking(words)
    try:
        inner = base64.b64decode(
            signature, b"-_" if "-" in signature or "_" in signature else None, validate=True
        )
        _, kind, sealed = inner[len(_MARK) :].decode().split(":", 2)
    except (binascii.Error, ValueError):
        return Thinking(words)
    if kind == "signed" or kind.startswith("signed-"):
        return Thinking(words, sealed, signer=vendor_of(kind.removeprefix("signed").lstrip("-")))
    return Thinking(words, encrypted=sealed, id=kind or None)


def vendor_of(word: object) -> Vendor | None:
    """The vendor of that name; None for anything else."""
    return _VENDORS.get(word) if isinstance(word, str) else None
