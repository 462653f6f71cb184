"""A cross-encoder on this node: query and text go through the model together, and its one logit says how well they fit.

Any sequence classifier of BERT's form will do that was exported with its tokenizer (`ms-marco-MiniLM-L6-v2`, `bge-reranker-base`, …).
Of two logits, the second against the first is taken. Source: Nogueira and Cho 2019, "Passage Re-ranking with BERT".
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intellirouter.errors import PeerUnavailable
from intellirouter.roles.rag_manager.embedding.session import OnnxSession, Row, batches
from intellirouter.security.caller import Caller

MAX_TOKENS = 512
"""What these models were trained on; the longer of query and text is cut, which is nearly always the text."""


class OnnxReranker:
    """The model of a directory, opened when it is first asked. One query at a time: it uses every core it may."""

    def __init__(self, directory: Path, threads: int, seconds: float) -> None:
        self._directory, self._threads, self._seconds = directory, threads, seconds
        self._loaded: tuple[OnnxSession, Any] | None = None
        self._turn = asyncio.Lock()

    async def scores(
        self,
        model: str,  # noqa: ARG002  it is one
        query: str,
        texts: Sequence[str],
        caller: Caller,  # noqa: ARG002  it costs nothing
    ) -> list[float]:
        """See `Reranker.scores`. Each is between 0 and 1."""
        until = time.monotonic() + self._seconds
        try:
            async with asyncio.timeout(self._seconds):
                await self._turn.acquire()
        except TimeoutError as cause:
            raise self._late() from cause
        try:
            return await asyncio.to_thread(self._judge, query, texts, until)
        finally:
            self._turn.release()

    async def close(self) -> None:
        """Nothing is held beyond the model."""

    def _late(self) -> PeerUnavailable:
        return PeerUnavailable(f"The reranker in {self._directory} took longer than {self._seconds:g} s.")

    def _judge(self, query: str, texts: Sequence[str], until: float) -> list[float]:
        if self._loaded is None:
            tokenizer: Any = importlib.import_module("tokenizers").Tokenizer.from_file(
                str(self._directory / "tokenizer.json")
            )
            tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
            tokenizer.no_padding()
            self._loaded = OnnxSession(self._directory, self._threads), tokenizer
            until = max(until, time.monotonic() + self._seconds)  # who asks first need not fail for that
        session, tokenizer = self._loaded
        # a query that alone fills the model leaves no room for a text
        short = query[: MAX_TOKENS * 2]
        rows: list[Row] = [
            (item.ids, item.type_ids)
            for item in tokenizer.encode_batch_fast([(short, text) for text in texts])
        ]
        out = np.empty(len(rows), np.float64)
        for numbers in batches(rows):
            if time.monotonic() > until:
                raise self._late()
            logits, _ = session.run([rows[number] for number in numbers])
            out[numbers] = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        fits: list[float] = (1 / (1 + np.exp(-out))).tolist()
        return fits
