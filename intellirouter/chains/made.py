"""Chains made of stored definitions, kept by their text: a run, a call and a schedule all begin with one.

Checking a definition of a thousand steps takes a second, so it is done in a thread, in the turn of its owner.
"""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.kept import BoundedMap
from intellirouter.chains.check import check
from intellirouter.chains.model import Chain
from intellirouter.chains.source import Document

_kept: BoundedMap[tuple[bytes, float], Chain] = BoundedMap(entries=512, weight=32_000_000)
_WEIGHT = 10
"""Bytes that a chain and its text take for each byte of the text."""


async def made(owner: str, name: str, document: dict[str, Any], default_timeout: float = 30.0) -> Chain:
    """The chain of a stored definition. Raises `InvalidChain`, `RateLimited`."""
    encoded = msgspec.json.encode(document)
    key = (encoded, default_timeout)
    found = _kept.get(key)
    if found is None:
        found = await ASIDE.run(
            owner, lambda: check(Document(name, document), None, default_timeout, fresh=False)
        )
        _kept.put(key, found, _WEIGHT * len(encoded))
    return found
