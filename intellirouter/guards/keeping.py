"""Texts as they may be kept: persons' data and secrets masked for good."""

from __future__ import annotations

from functools import cache

from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards.guard import Guard, made, masked, replaced

_KINDS = ("secret", "pii", "control")


@cache
def _guards() -> tuple[Guard, ...]:
    """Made by the first text that is kept."""
    return tuple(
        made(GuardSection.model_validate({"name": kind, "kind": kind, "action": "mask"}), str)
        for kind in _KINDS
    )


def fit_to_keep(text: str) -> str:
    """The text with a mask in place of each."""
    for guard in _guards():
        text = replaced(text, guard.find(text), masked)
    return text
