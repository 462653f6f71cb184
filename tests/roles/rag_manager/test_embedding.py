"""The real model, against figures published for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intellirouter.errors import ConfigError
from intellirouter.roles.rag_manager.embedding.files import find_model
from intellirouter.roles.rag_manager.embedding.onnx import OnnxEmbedder
from tests.servers.minilm import minilm


async def test_similarities_are_those_of_the_reference() -> None:
    embedder = OnnxEmbedder(minilm(), "all-MiniLM-L6-v2", threads=1)
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
    vectors = await embedder.embed(texts)
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # sentence-transformers' own semantic-search example prints the first
    assert vectors[0] @ vectors[1] == pytest.approx(0.7553, abs=5e-4)
    assert vectors[0] @ vectors[2] < 0


async def test_order_and_padding_do_not_change_a_vector() -> None:
    embedder = OnnxEmbedder(minilm(), "all-MiniLM-L6-v2", threads=1)
    texts = ["short", "a much longer text about vectors and their cosine " * 5, "", "middle one"]
    together = await embedder.embed(texts)
    alone = np.vstack([await embedder.embed([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert embedder.count(["Hello world", "word " * 300]) == [2, 300]


def test_a_missing_model_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="intellirouter models pull all-MiniLM-L6-v2"):
        find_model(tmp_path, "all-MiniLM-L6-v2", None)
