"""Google's error envelope, both directions."""

from __future__ import annotations

import re

import msgspec

from intellirouter.chat.failure import CREDENTIALS, hidden
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat import errors as openai_errors
from intellirouter.errors import IntelliRouterError, UpstreamAuthFailed, UpstreamError

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RETRY_DELAY = re.compile(rb'"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d{1,20})?)s"')


def error_envelope(error: IntelliRouterError) -> Json:
    """`{"error": {code, message, status}}` with the words of google.rpc.Code."""
    fallback = "INVALID_ARGUMENT" if error.status < 500 else "INTERNAL"
    body: Json = {
        "code": error.status,
        "message": error.message,
        "status": _STATUS.get(error.status, fallback),
    }
    if error.details:
        body["details"] = [{"reason": error.code, "metadata": error.details}]
    return {"error": body}


def encode_error(error: IntelliRouterError) -> bytes:
    """The envelope as bytes."""
    return msgspec.json.encode(error_envelope(error), enc_hook=str)


def decode_error(body: bytes, status: int | None = None, provider: str = "") -> UpstreamError:
    """The error a body describes; never raises. Google says 400 of a bad key, and the delay in the body."""
    error = openai_errors.decode_error(body, status, provider)
    if b"API_KEY_INVALID" in body and not isinstance(error, UpstreamAuthFailed):
        error = hidden(CREDENTIALS, error.message, provider=provider, upstream_status=status or 400)
    if found := _RETRY_DELAY.search(body):
        error.retry_after = float(found[1])
    return error
