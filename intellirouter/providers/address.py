"""Addresses: an endpoint with a path of its API, and a model's name as a piece of one."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from intellirouter.errors import InvalidRequest


def path_of(model: str, safe: str) -> str:
    """The name, quoted but for `safe`. Raises `InvalidRequest` for one that would lead elsewhere with the operator's key."""
    if not {"", ".", ".."}.isdisjoint(model.split("/")):
        raise InvalidRequest("No model's name has an empty part, or one that is '.' or '..'.", param="model")
    return quote(model, safe=safe)


_GOOGLES_CALL = re.compile(r"/models(?:/[^/]+:[A-Za-z]+)$")
_CALLS = ("/chat/completions", "/completions", "/responses", "/messages", "/embeddings")


def joined(base_url: str, path: str, *, bare: str = "") -> str:
    """The endpoint with `path`, whatever query either has; an endpoint without a path of its own gets `bare` first.

    Operators also give the address of one call, as vendors print it in their examples: its last part is taken off.
    """
    place, _, query = base_url.partition("?")
    path, _, more = path.partition("?")
    place = place.rstrip("/")
    place = next((place.removesuffix(call) for call in _CALLS if place.endswith(call)), place)
    place = _GOOGLES_CALL.sub("", place)
    if bare and not urlsplit(place).path:
        place += bare
    queries = "&".join(filter(None, (query, more)))
    return f"{place}{path}?{queries}" if queries else f"{place}{path}"
