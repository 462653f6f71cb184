"""Error bodies, both directions."""

from __future__ import annotations

import msgspec

from intellirouter.chat.failure import classify
from intellirouter.errors import IntelliRouterError, UpstreamError


def encode_error(error: IntelliRouterError) -> bytes:
    """Ollama's envelope."""
    return msgspec.json.encode({"error": error.message})


def decode_error(body: bytes, status: int, provider: str) -> UpstreamError:
    """The error of a response that is not a success; never raises."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        data = None
    words = data.get("error") if isinstance(data, dict) else None
    message = words if isinstance(words, str) and words else f"the provider answered {status}"
    return classify(status, message, provider=provider)
