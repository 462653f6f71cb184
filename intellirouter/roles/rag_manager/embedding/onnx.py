"""A sentence-transformer: tokenise, run, mean over the tokens, unit length."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from intellirouter.roles.rag_manager.embedding.embedder import Behalf
from intellirouter.roles.rag_manager.embedding.session import OnnxSession, Row, batches
from intellirouter.roles.rag_manager.embedding.vocabulary import fluency, script_of, scripts_of, words_of
from intellirouter.vectors.index import Vectors

MAX_TOKENS = 256
"""What all-MiniLM-L6-v2 was trained on; its tokenizer file truncates to 128 unless told otherwise."""
_ADDED = 2  # [CLS] and [SEP]
GIVE_WAY = 10
"""How much nicer than the process the threads are that embed documents: whoever asks meanwhile is served first."""
log = structlog.get_logger(__name__)


class OnnxEmbedder:
    """The model of a directory with `model.onnx` and `tokenizer.json`. Opening takes about 0.3 s."""

    def __init__(self, directory: Path, model: str, threads: int = 0) -> None:
        self._documents = ThreadPoolExecutor(1, "embed-documents", initializer=_give_way)
        # opened there, since the session's own threads are as nice as the one that starts them
        self._session = self._documents.submit(OnnxSession, directory, threads).result()
        self._tokenizer: Any = importlib.import_module("tokenizers").Tokenizer.from_file(
            str(directory / "tokenizer.json")
        )
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._counter: Any = importlib.import_module("tokenizers").Tokenizer.from_file(
            str(directory / "tokenizer.json")
        )
        self._counter.no_truncation()
        self._counter.no_padding()
        self._model = model
        self._scripts = scripts_of(self._counter.get_vocab())

    @property
    def model(self) -> str:
        """The name a collection pins."""
        return self._model

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are seen, without the two the model adds."""
        return MAX_TOKENS - _ADDED

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(item) for item in self._counter.encode_batch_fast(list(texts), add_special_tokens=False)]

    def knows(self, text: str) -> bool:
        """By the model's vocabulary."""
        return script_of(text) in self._scripts

    def fluency(self, text: str) -> float:
        """By how many pieces the vocabulary makes of a word."""
        return fluency(len(pieces) for pieces in self._pieces(words_of(text)))

    def _pieces(self, words: Sequence[str]) -> list[list[int]]:
        return [item.ids for item in self._counter.encode_batch_fast(words, add_special_tokens=False)]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors; the work is done outside the event loop's thread and without its lock.

        One text is somebody's question; several are documents, which give way to everything else.
        """
        loop = asyncio.get_running_loop()
        if len(texts) == 1:
            return await loop.run_in_executor(None, self.run, texts)
        rows = await loop.run_in_executor(self._documents, self._rows, texts)
        numbers = batches(rows)
        # batch by batch, so that those of a small document come between those of a large one
        parts = [
            await loop.run_in_executor(self._documents, self._batch, [rows[number] for number in batch])
            for batch in numbers
        ]
        return _in_order(numbers, parts)

    def on_behalf_of(self, behalf: Behalf) -> OnnxEmbedder:  # noqa: ARG002  this node's own work costs nobody anything
        """See `Embedder.on_behalf_of`."""
        return self

    def run(self, texts: Sequence[str]) -> Vectors:
        """The same, here and now."""
        rows = self._rows(texts)
        numbers = batches(rows)
        return _in_order(numbers, [self._batch([rows[number] for number in batch]) for batch in numbers])

    def _rows(self, texts: Sequence[str]) -> list[Row]:
        return [(item.ids, item.type_ids) for item in self._tokenizer.encode_batch_fast(list(texts))]

    def _batch(self, rows: Sequence[Row]) -> Vectors:
        hidden, mask = self._session.run(rows)
        weights = mask[:, :, None].astype(np.float32)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)


def _in_order(numbers: Sequence[Sequence[int]], parts: Sequence[Vectors]) -> Vectors:
    """What was made of each batch, where its texts stood."""
    out = np.empty((sum(map(len, numbers)), parts[0].shape[1] if parts else 0), np.float32)
    for batch, part in zip(numbers, parts, strict=True):
        out[batch] = part
    return out


def _give_way() -> None:
    """Have the system prefer other threads to this one and to those it starts; only Linux can do that for a thread."""
    if sys.platform == "linux":
        try:
            os.nice(GIVE_WAY)
        except OSError as refused:  # a sandbox may forbid it: documents are embedded all the same
            log.info("rag.documents_do_not_give_way", reason=refused.strerror)
