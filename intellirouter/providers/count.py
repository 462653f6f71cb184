"""Reading a vendor's count of a request's tokens."""

from __future__ import annotations

from intellirouter.chat.openai_chat.response import read_object
from intellirouter.errors import UpstreamProtocolError


def read_count(body: bytes, name: str) -> int:
    """The count under `name`. Raises `UpstreamProtocolError`."""
    count = read_object(body, "count").get(name)
    if type(count) is not int or count < 0:
        raise UpstreamProtocolError(f"the provider's count has no '{name}'")
    return count
