"""What comes to a webhook's address: who signed it, and which delivery it is.

Sources: the Standard Webhooks specification 1.0; GitHub, "Validating webhook deliveries" (`X-Hub-Signature-256`: HMAC-SHA256 of the body
in hex, also Gitea, Forgejo and many others); GitLab, "Webhook events" (`X-Gitlab-Token`: the secret itself).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from intellirouter.errors import AuthenticationFailed, InvalidRequest
from intellirouter.security.webhook_signing import holds, same

SIGNATURES = frozenset({"standard", "github", "gitlab"})
MAX_BODY = 1_000_000
MAX_ID = 200
_HEADERS = 50
_HIDDEN = frozenset(
    "authorization cookie proxy-authorization webhook-signature x-hub-signature x-hub-signature-256 x-gitlab-token".split()
)


def check(signature: str, secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises `AuthenticationFailed` unless the sender knows the secret. Header names are lower case."""
    if signature == "standard":
        fits = holds(secret, dict(headers), body, time.time())
    elif signature == "github":
        wanted = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
        fits = same(wanted, headers.get("x-hub-signature-256", ""))
    else:
        fits = same(secret, headers.get("x-gitlab-token", ""))
    if not fits:
        raise AuthenticationFailed(
            f"The request is not signed with this webhook's secret ('{signature}'), or was signed more than five minutes ago."
        )


def delivery(signature: str, headers: Mapping[str, str], body: bytes) -> str:
    """Which delivery it is: the same for one that is sent again. Raises `InvalidRequest`."""
    names = {
        "standard": ("webhook-id",),
        "github": ("x-github-delivery", "x-gitea-delivery", "idempotency-key"),
        "gitlab": ("idempotency-key", "x-gitlab-event-uuid"),
    }[signature]
    found = next((headers[name] for name in names if headers.get(name)), "")
    if len(found) > MAX_ID or not found.isprintable():
        raise InvalidRequest(
            f"The id of a delivery has at most {MAX_ID} characters, all of which one can see.", param=names[0]
        )
    return found or hashlib.sha256(body).hexdigest()


def event(headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """What the chain's inputs may be made of. A body that is not JSON is text."""
    try:
        told: Any = msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, RecursionError):
        try:
            told = body.decode()
        except UnicodeDecodeError as cause:
            raise InvalidRequest("The body is neither JSON nor UTF-8 text.") from cause
    shown = [(name, value) for name, value in headers.items() if name not in _HIDDEN][:_HEADERS]
    return {"body": told, "headers": _readable(shown), "query": _readable(query.items())}


def _readable(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and values as UTF-8, with a mark for bytes that are none: what could not be written down would fail the run."""
    return {_utf8(name): _utf8(value) for name, value in pairs}


def _utf8(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
