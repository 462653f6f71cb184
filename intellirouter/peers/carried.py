"""What a request between roles says beside OpenAI's own fields."""

from __future__ import annotations

import msgspec

from intellirouter.chat.model import ChatRequest


def carrying(body: bytes, request: ChatRequest) -> bytes:
    """The body, with the persona whose guards hold for it, and its guardrails."""
    guarded_as = request.options.guarded_as if request.options is not None else None
    if guarded_as is None:
        return body
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields["intellirouter"] = msgspec.Raw(msgspec.json.encode({"guarded_as": guarded_as}))
    return msgspec.json.encode(fields)
