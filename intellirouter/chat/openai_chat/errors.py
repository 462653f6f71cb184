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


_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
}
_MESSAGES = ("message", "detail", "msg", "error_msg", "error_message")
_MINIMAX = {
    1002: "rate_limit_error",
    1004: "authentication_error",
    1008: "insufficient_balance",
    1026: "content_filter",
    1027: "content_filter",
    1039: "rate_limit_error",
    2013: "invalid_request_error",
    2049: "authentication_error",
    2056: "rate_limit_error",
}
"""What MiniMax' numbers mean: it answers 200 with them. Source: its API reference, "Error codes"."""


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
        status = _status_in(code) or _status_of(kind, code)
    return classify(
        status, message or f"the provider answered {status}", kind=kind, code=code, provider=provider
    )


def tells_error(data: Any) -> bool:
    """Whether an object that came as a success tells of a failure.

    Beside `error` vendors have `object: error` (vLLM), a list of `errors` (Cloudflare), and MiniMax' `base_resp`.
    """
    if not isinstance(data, dict):
        return isinstance(data, list) and bool(data) and tells_error(data[0])
    base = data.get("base_resp")
    return bool(
        data.get("error")
        or data.get("errors")
        or data.get("object") == "error"
        or (isinstance(base, dict) and base.get("status_code"))
        or (
            "choices" not in data and not data.get("usage") and isinstance(_words(data), str) and _words(data)
        )
    )


def says_error(body: bytes) -> bool:
    """The same of bytes, whatever they are."""
    try:
        return tells_error(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError):
        return False


def _words(error: Json) -> Any:
    return next((error[name] for name in _MESSAGES if error.get(name)), "")


def _read(data: Any) -> tuple[str, str, str]:
    """Message, type and code of the shapes vendors use, empty where absent."""
    if isinstance(data, list) and data:  # Google's compatible endpoint wraps it in an array
        data = data[0]
    if not isinstance(data, dict):
        return "", "", ""
    base = data.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        kind = _MINIMAX.get(base["status_code"], "") if isinstance(base["status_code"], int) else ""
        return str(base.get("status_msg") or ""), kind, ""
    error = data.get("error") or data.get("errors") or data
    if isinstance(error, list):
        error = error[0] if isinstance(error[0], dict) else data
    if isinstance(error, str):
        return error, str(data.get("type") or ""), str(data.get("code") or "")
    if not isinstance(error, dict):
        return "", "", ""
    message = _words(error)
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    code = error.get("code") or error.get("error_code") or ""
    return message, str(error.get("type") or error.get("status") or ""), str(code)


def _status_in(code: str) -> int | None:
    """A code that is an HTTP status; vendors number errors of their own too."""
    return int(code) if code.isdecimal() and len(code) == 3 and code >= "400" else None


def _status_of(*words: str) -> int:
    """The HTTP status of an error that came without one, by its type or code."""
    return next((_STATUSES[word] for word in words if word in _STATUSES), 502)
