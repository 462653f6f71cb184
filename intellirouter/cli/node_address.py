"""Where the node is that a command asks: named, or running here, or as its configuration says. One way for every command.

`--url` (or its variable) names it, and nothing else is read then; `node_found.py` looks for it otherwise.
"""

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Address:
    """Where a role is, how that is known, and the authority of its certificate where it is one of ours."""

    url: str
    known: str
    trust: ssl.SSLContext | None = None


def address_of(role: str, url: str | None, config: Path | None) -> Address:
    """Where a role is to be asked."""
    if url:
        return Address(url.rstrip("/"), "named")
    # the configuration with its schema takes longer to import than most answers take to come
    found: Address = importlib.import_module("intellirouter.cli.node_found").found(role, config)
    return found
