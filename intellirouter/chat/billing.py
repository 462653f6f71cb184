"""Claude Code's first system block, which is for Anthropic's accounts alone.

It is another one in every request, so that no two prompts would begin alike: no prompt cache of any other vendor could hit,
and none of ours.
"""

from __future__ import annotations

import msgspec

from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text

BILLING = "x-anthropic-billing-header:"


def without_billing(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without it; the same object where there is none."""
    first = messages[0] if messages else None
    if first is None or first.role != "system" or not first.content:
        return messages
    kept = tuple(p for p in first.content if not (isinstance(p, Text) and p.text.startswith(BILLING)))
    if len(kept) == len(first.content):
        return messages
    return (msgspec.structs.replace(first, content=kept), *messages[1:]) if kept else messages[1:]
