"""What is an edge's is called by its name at its centre."""

from __future__ import annotations

import hashlib


def id_here(edge: str, own_id: str) -> str:
    """What a run of an edge is called at its centre: no id of the centre's own has a colon."""
    whole = f"{edge}:{own_id}"
    return whole if len(whole) <= 100 else f"{edge}:{hashlib.sha256(own_id.encode()).hexdigest()[:32]}"
