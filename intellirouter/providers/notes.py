"""What a caller is told of its request's translation."""

from __future__ import annotations

from collections.abc import Iterable


def told(notes: Iterable[str]) -> tuple[str, ...]:
    """Each note once: what happens to one turn of a conversation happens to many."""
    return tuple(dict.fromkeys(notes))
