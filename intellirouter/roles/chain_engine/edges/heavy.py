"""What an edge brings is looked at before it is read: reading makes a value of each of its bytes at the worst, and holds everybody up."""

from __future__ import annotations

from intellirouter.bounds.json_values import holds_more_than
from intellirouter.peers.edges import MAX_DOCUMENT


async def too_much(document: str, most_values: int) -> bool:
    """Whether a document has more than `MAX_DOCUMENT` bytes, or so many values. Other work goes on meanwhile."""
    if len(document) > MAX_DOCUMENT:
        return True
    body = document.encode("utf-8", "surrogatepass")
    return len(body) > MAX_DOCUMENT or await holds_more_than(most_values, body)
