"""Errors inside an answer or a stream; the HTTP envelope is the one of chat completions."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import decode_error, error_envelope
from intellirouter.errors import IntelliRouterError, UpstreamError

_REQUEST_CODES = frozenset({"invalid_prompt", "context_length_exceeded", "string_above_max_length"})


def decode_failure(error: Any) -> UpstreamError:
    """What `response.error`, or an `error` event, says happened."""
    facts = error if isinstance(error, dict) else {}
    code = str(facts.get("code") or "")
    kind = str(facts.get("type") or "")
    if kind in ("", "error"):
        kind = "invalid_request_error" if code in _REQUEST_CODES or "image" in code else code
    message = facts.get("message") if isinstance(facts.get("message"), str) else None
    body: Json = {
        "message": message or "the provider reported a failure without a reason",
        "type": kind,
        "code": code,
    }
    return decode_error(msgspec.json.encode({"error": body}))


def error_event(error: IntelliRouterError, sequence_number: int) -> Json:
    """The `error` event: flat, as documented, and the `error` object beside it that the SDKs raise on."""
    envelope = error_envelope(error)
    inner = envelope["error"]
    flat = {key: inner[key] for key in ("code", "message", "param")}
    return {"type": "error", "sequence_number": sequence_number, **flat, **envelope}


def response_error(error: IntelliRouterError) -> Json:
    """`response.error` of a failed answer; the vendor's clients know only a few codes."""
    code = "rate_limit_exceeded" if error.status == 429 else "server_error"
    return {"code": error.code if error.status < 429 else code, "message": error.message}
