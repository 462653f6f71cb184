"""How what a hook or an alert sends is signed, so that its receiver can tell it from anybody else's.

Source: the Standard Webhooks specification 1.0: `webhook-id`, `webhook-timestamp`, and in `webhook-signature` `v1,` with the base64 of
HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

TOLERANCE_SECONDS = 300.0


def key_of(secret: str) -> bytes:
    """The bytes of a secret: after `whsec_` in base64, else as it is written."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:  # also of what is beyond ASCII
            return secret.encode()
    return secret.encode()


def same(ours: str, theirs: str) -> bool:
    """Whether what somebody sent is what it should be, in a time that tells nothing of it.

    What came in a header may hold bytes that are no UTF-8: `hmac.compare_digest` takes no such text.
    """
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogateescape"))


def signed(secret: str, delivery: str, now: float, body: bytes) -> dict[str, str]:
    """The three headers."""
    stamp = str(int(now))
    text = b".".join((delivery.encode("utf-8", "surrogateescape"), stamp.encode(), body))
    digest = hmac.new(key_of(secret), text, hashlib.sha256).digest()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def holds(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Whether a delivery is signed with the secret and not older than five minutes. `headers` have lower-case names."""
    delivery, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or len(stamp) > 12 or abs(now - int(stamp)) > TOLERANCE_SECONDS:
        return False
    wanted = signed(secret, delivery, int(stamp), body)["webhook-signature"]
    return any(same(wanted, each) for each in headers.get("webhook-signature", "").split(" "))
