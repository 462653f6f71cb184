"""The Node clients, as `scripts/node_clients` puts them into the user's cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

DIRECTORY = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intellirouter/node-clients"
LOCK = Path(__file__).parents[1] / "clients/node/package-lock.json"


def node_clients() -> Path:
    """Their directory. Missing or out of date, the test is skipped, in CI too: a machine for CI has apt and PyPI, not always npm."""
    stamp = DIRECTORY / ".installed"
    if shutil.which("node") is None or not stamp.is_file() or stamp.read_bytes() != LOCK.read_bytes():
        pytest.skip(f"no Node clients in {DIRECTORY}; run scripts/node_clients")
    return DIRECTORY


def command(name: str) -> str:
    """One of their commands."""
    return str(node_clients() / "node_modules/.bin" / name)
