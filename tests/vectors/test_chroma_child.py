"""What the process that owns an embedded Chroma does with a collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intellirouter.vectors.chroma.child import Store

VECTORS = np.eye(3, dtype=np.float32)


def test_vectors_are_kept_found_nearest_first_and_let_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.query("kept", VECTORS[:1].tobytes(), 2) == ([], [])
    store.upsert("kept", ["x", "y", "z"], VECTORS.tobytes())
    ids, scores = store.query("kept", np.array([1, 0.5, 0], np.float32).tobytes(), 2)
    assert ids == ["x", "y"]
    assert scores == pytest.approx([1 / 1.25**0.5, 0.5 / 1.25**0.5], abs=1e-4)
    kept, raw = store.fetch("kept", ["y", "gone"])
    assert (kept, raw) == (["y"], VECTORS[1].tobytes())
    store.delete("kept", ["x"])
    assert store.query("kept", VECTORS[:1].tobytes(), 1)[0] != ["x"]
    store.drop("kept")
    assert store.fetch("kept", ["y"]) == ([], b"")
