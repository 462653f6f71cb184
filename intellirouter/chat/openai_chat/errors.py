"""Error bodies, both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.failure import classify
from intellirouter.chat.fields import Json
from intellirouter.errors import IntelliRouterError, RequestError, UpstreamError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_envelope(error: IntelliRouterError) -> Json:
    """OpenAI's `{"error": {...}}`. What was tried stands in `details`, for people who debug."""
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "server_error")
    body: Json = {"message": error.message, "type": kind, "param": None, "code": error.code}
    if isinstance(error, RequestError):
        body["param"] = error.param
    if error.details:
        body["details"] = error.details
    return {"error": body}


def encode_error(error: IntelliRouterError) -> bytes:
    """The envelope as bytes."""
    return msgspec.json.encode(error_envelope(error), enc_hook=str)


def decode_error(body: bytes, status: int | None = None, provider: str = "") -> UpstreamError:
    """The error a body of this dialect describes; never raises, whatever the bytes are.

    The provider's own message is passed on: it is written for the caller.
    """
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        data = None
    message, kind, code = _read(data)
    if status is None:  # inside a 200 stream: the body alone says what happened
        status = int(code) if code.isdigit() else _status_of(kind)
    return classify(
        status, message or f"the provider answered {status}", kind=kind, code=code, provider=provider
    )


def _read(data: Any) -> tuple[str, str, str]:
    """Message, type and code of the shapes vendors use, empty where absent."""
    if isinstance(data, list) and data:  # Google's compatible endpoint wraps it in an array
        data = data[0]
    if not isinstance(data, dict):
        return "", "", ""
    error = data.get("error", data)
    if isinstance(error, str):
        return error, str(data.get("type") or ""), str(data.get("code") or "")
    if not isinstance(error, dict):
        return "", "", ""
    message = error.get("message") or error.get("detail") or error.get("msg") or ""
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return message, str(error.get("type") or error.get("status") or ""), str(error.get("code") or "")


def _status_of(kind: str) -> int:
    match kind:
        case "invalid_request_error":
            return 400
        case "authentication_error":
            return 401
        case "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota":
            return 429
        case _:
            return 502
