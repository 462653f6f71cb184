"""Other vendors' thoughts as `encrypted_content`: opaque to the client, and read back as they were."""

from __future__ import annotations

from typing import Any

from intellirouter.chat.fields import Json
from intellirouter.chat.parts import RedactedThinking, Thinking
from intellirouter.chat.sealed_thoughts import vendor_of
from intellirouter.chat.signed_calls import is_call_seal

_MARK = "intellirouter:"
_SIGNED, _REDACTED, _PLAIN = f"{_MARK}signed:", f"{_MARK}redacted:", f"{_MARK}plain"
_BY = f"{_MARK}signed-by:"


def seal(part: Thinking | RedactedThinking) -> str:
    """What the client is to send back: the vendor's own words where it is OpenAI's, else ours around the vendor's."""
    if isinstance(part, RedactedThinking):
        return _REDACTED + part.data
    if part.encrypted is not None:
        return part.encrypted
    if not part.signature:
        return _PLAIN
    return f"{_BY}{part.signer}:{part.signature}" if part.signer else _SIGNED + part.signature


def unseal(words: str, encrypted: str | None, item_id: str | None) -> Thinking | RedactedThinking:
    """The thought of a `reasoning` item; ids beside our own seal are ours and mean nothing to a vendor."""
    if encrypted is None or not encrypted.startswith(_MARK):
        return Thinking(words, encrypted=encrypted, id=item_id)
    if is_call_seal(encrypted):
        return RedactedThinking(encrypted)
    if encrypted.startswith(_REDACTED):
        return RedactedThinking(encrypted.removeprefix(_REDACTED))
    if encrypted.startswith(_SIGNED):
        return Thinking(words, signature=encrypted.removeprefix(_SIGNED))
    if encrypted.startswith(_BY):
        signer, _, signature = encrypted.removeprefix(_BY).partition(":")
        return Thinking(words, signature=signature, signer=vendor_of(signer))
    return Thinking(words)


def is_sealed(item: Any) -> bool:
    """True for an item only we can read: no vendor may be sent it."""
    encrypted = item.get("encrypted_content") if isinstance(item, dict) else None
    return isinstance(encrypted, str) and encrypted.startswith(_MARK)


def reasoning_item(part: Thinking | RedactedThinking, item_id: str, encrypted: str | None) -> Json:
    """A `reasoning` item with its words as one summary."""
    words = part.text if isinstance(part, Thinking) else ""
    item: Json = {
        "type": "reasoning",
        "id": item_id,
        "summary": [{"type": "summary_text", "text": words}] if words else [],
    }
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item
