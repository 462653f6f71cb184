"""The real model, against figures published for it."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from intellirouter.errors import ConfigError
from intellirouter.roles.rag_manager.embedding.files import find_model
from intellirouter.roles.rag_manager.embedding.onnx import OnnxEmbedder
from intellirouter.roles.rag_manager.embedding.session import Row
from intellirouter.roles.rag_manager.embedding.vocabulary import script_of
from intellirouter.vectors.index import Vectors
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


def threads() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]


class Watched(OnnxEmbedder):
    """Notes how nice the thread is that embeds."""

    def _batch(self, rows: Sequence[Row]) -> Vectors:
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return super()._batch(rows)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread is as nice as its process")
async def test_documents_give_way_to_questions() -> None:
    embedder = Watched(minilm(), "all-MiniLM-L6-v2", threads=2)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    await embedder.embed(["A document.", "Another one."])
    assert embedder.niceness == min(19, own + 10)
    await embedder.embed(["A question?"])
    assert embedder.niceness == own
    nice = [tid for tid in threads() if os.getpriority(os.PRIO_PROCESS, tid) > own]
    assert len(nice) >= 2  # the session's own thread gives way too


async def test_a_sandbox_that_forbids_it_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_by: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "nice", refused)
    embedder = Watched(minilm(), "all-MiniLM-L6-v2", threads=1)
    assert (await embedder.embed(["A document.", "Another one."])).shape == (2, 384)
    assert embedder.niceness == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("How do I boot?", "LATIN"),
        ("Software in the Public Interest (SPI)", "LATIN"),
        ("Debian GNU/Linux ではどのカーネルを実行しますか?", "CJK"),
        ("「incoming」とは何ですか?", "CJK"),
        ("apt-get、apt-cdrom", "LATIN"),
        ("What does 猫 mean?", "LATIN"),
        ("데비안 GNU/Linux 설치 방법은 무엇입니까", "HANGUL"),
        ("Что такое Debian GNU?", "CYRILLIC"),
        ("Was heißt Übersetzung?", "LATIN"),
        ("कर्नेल क्या है", "DEVANAGARI"),
        ("…", "LATIN"),
    ],
)
def test_a_question_is_in_the_script_of_most_of_its_words(text: str, script: str) -> None:
    assert script_of(text) == script


def test_a_model_knows_the_words_of_its_own_language_best() -> None:
    embedder = OnnxEmbedder(minilm(), "all-MiniLM-L6-v2", threads=1)
    own = "print newline, word, and byte counts for each file"
    assert embedder.fluency(own) == embedder.fluency("How long is the warranty?") == 1.0
    assert embedder.fluency("Welche Schriften gehören zum Handbuch?") < 0.2
    assert 0 < embedder.fluency("Combien de temps dure la garantie ?") < 1
    assert embedder.fluency("AB-12345") == embedder.fluency("") == 1.0
