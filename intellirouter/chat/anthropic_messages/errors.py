"""Error bodies, both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.failure import classify
from intellirouter.chat.fields import Json
from intellirouter.errors import IntelliRouterError, UpstreamError

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_STATUSES = {kind: status for status, kind in _KINDS.items()} | {"api_error": 500, "overloaded_error": 529}


def error_envelope(error: IntelliRouterError) -> Json:
    """`{"type": "error", "error": {...}, "request_id": ...}`; the id where it is known."""
    kind = _KINDS.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    envelope: Json = {"type": "error", "error": {"type": kind, "message": error.message}}
    if request_id := error.details.get("request_id"):
        envelope["request_id"] = request_id
    return envelope


def encode_error(error: IntelliRouterError) -> bytes:
    """The envelope as bytes."""
    return msgspec.json.encode(error_envelope(error))


def decode_error(body: bytes, status: int | None = None, provider: str = "") -> UpstreamError:
    """The error a body of this dialect describes; never raises, whatever the bytes are."""
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        data = None
    error = data.get("error") if isinstance(data, dict) else None
    kind = str(error.get("type") or "") if isinstance(error, dict) else ""
    words = error.get("message") if isinstance(error, dict) else None
    if status is None:  # inside a stream
        status = _STATUSES.get(kind, 500)
    message = words if isinstance(words, str) and words else f"the provider answered {status}"
    return classify(status, message, kind=kind, provider=provider)
