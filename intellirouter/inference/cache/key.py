"""When two requests are alike: the canonical request, less what does not change the answer, with the tenant and what its key may use."""

from __future__ import annotations

import hashlib

import msgspec

from intellirouter.chat.billing import without_billing
from intellirouter.chat.model import ChatRequest
from intellirouter.security.caller import Caller

_encode = msgspec.json.Encoder(order="deterministic").encode


def cache_key(request: ChatRequest, caller: Caller, model: str) -> str:
    """A SHA-256 in hexadecimal: no prompt can be read from it, and no other tenant's request has it.

    `model` is the resolved name, so that an alias shares its model's answers. A stream and a whole answer are kept apart, and so are
    the answers of keys that may use different models: who answers for a group or falls in for a model depends on it.
    """
    alike = request.changed(
        messages=without_billing(request.messages),
        model=model,
        user=None,
        metadata=None,
        options=None,
        store=None,
        include_usage=False,
        cache=None,
    )
    whose = _encode((caller.tenant, sorted(caller.models)))
    return hashlib.sha256(b"%d:%b%b" % (len(whose), whose, _encode(alike))).hexdigest()


class Wishes(msgspec.Struct, frozen=True):
    """What `cache-control` of a request asks: read from the cache, write to it, and how old an answer may be."""

    read: bool = True
    write: bool = True
    max_age: float | None = None


def wishes_of(control: str | None) -> Wishes:
    """RFC 9111, section 5.2.1: no-cache, no-store, max-age. What is not known is ignored."""
    if not control:
        return Wishes()
    read, write, max_age = True, True, None
    for directive in control.lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "no-cache":
            read = False
        elif name == "no-store":
            read = write = False
        elif name == "max-age" and value.isascii() and value.strip('"').isdigit():
            max_age = float(value.strip('"'))
    return Wishes(read, write, max_age)
