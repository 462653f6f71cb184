"""The real all-MiniLM-L6-v2, as `scripts/test` puts it into the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DIRECTORY = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intellirouter/models/all-MiniLM-L6-v2"
)


def minilm() -> Path:
    """Its directory. Missing: an error in CI, else the test is skipped."""
    if not (DIRECTORY / "model.onnx").is_file():
        reason = f"no embedding model in {DIRECTORY}; run scripts/test"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return DIRECTORY
