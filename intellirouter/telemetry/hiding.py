"""What no log line shows, whoever writes it. Imports nothing, so that whatever sets a log up may use it at any moment."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

_HIDDEN = frozenset({"api_key", "authorization", "password", "token", "secret", "x-api-key", "cookie"})


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ARG001
    """A processor of structlog, the last guard: a value under a telling key never prints."""
    for key in event:
        if key.lower() in _HIDDEN:
            event[key] = "***"
    return event
