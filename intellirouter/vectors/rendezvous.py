"""Rendezvous hashing (Thaler and Ravishankar 1998): who has what, without a table of it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from heapq import nlargest


def owners(nodes: Collection[str], name: str, count: int = 1) -> list[str]:
    """The `count` nodes for `name`: the same whoever asks, and of a node that is taken away only its own names go elsewhere."""

    def weight(node: str) -> bytes:
        return hashlib.sha256(f"{node}\0{name}".encode("utf-8", "surrogatepass")).digest()

    return nlargest(count, nodes, key=weight)
