"""A model's name as a piece of a URL."""

from __future__ import annotations

from urllib.parse import quote

from intellirouter.errors import InvalidRequest


def path_of(model: str, safe: str) -> str:
    """The name, quoted but for `safe`. Raises `InvalidRequest` for one that would lead elsewhere with the operator's key."""
    if not {"", ".", ".."}.isdisjoint(model.split("/")):
        raise InvalidRequest("No model's name has an empty part, or one that is '.' or '..'.", param="model")
    return quote(model, safe=safe)
