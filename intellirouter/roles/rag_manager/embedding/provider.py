"""A provider's embedding model, asked through the Router: its keys, retries, limits and costs apply."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence

import numpy as np

from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.errors import (
    ContextLengthExceeded,
    IntelliRouterError,
    InvalidRequest,
    RateLimited,
    StateUnavailable,
    UpstreamRejected,
)
from intellirouter.peers.contract import Call, ChatCompleter
from intellirouter.roles.rag_manager.embedding.embedder import NODE, Behalf, asked_by
from intellirouter.vectors.index import Vectors

BATCH = 64
"""Texts in one request: within what every vendor takes."""
SECONDS = 60.0
_TOO_LONG = re.compile(
    r"context length|too long|too many tokens|maximum|max_?(?:seq|input|tokens)|exceeds?\b.*\btoken|token limit",
    re.I,
)
_SHORTEST = 32
"""Characters: what is refused at that length is not refused for its length."""
_LETTERS = re.compile(r"[A-Za-z\s]+")


class ProviderEmbedder:
    """`model` is a name the Router knows, such as `ollama/nomic-embed-text`. Tokens are estimated from characters.

    It is asked in the name of whoever wants the vectors: their key's models, limits and budget hold, and it pays.
    """

    def __init__(
        self, chat: ChatCompleter, model: str, max_tokens: int, behalf: Behalf | None = None
    ) -> None:
        self._chat = chat
        self._model = model
        self._max_tokens = max_tokens
        self._behalf = behalf or asked_by(NODE)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ProviderEmbedder)
            and (self._model, self._behalf) == (other._model, other._behalf)
            and self._chat is other._chat
        )

    def __hash__(self) -> int:
        return hash((self._model, self._behalf))

    def on_behalf_of(self, behalf: Behalf) -> ProviderEmbedder:
        """See `Embedder.on_behalf_of`."""
        return ProviderEmbedder(self._chat, self._model, self._max_tokens, behalf)

    @property
    def model(self) -> str:
        """The name a collection pins."""
        return self._model

    @property
    def max_tokens(self) -> int:
        """As configured (rag.embedding_max_tokens)."""
        return self._max_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """About how many tokens each has, rather too many than too few."""
        return [_tokens(text) for text in texts]

    def knows(self, text: str) -> bool:  # noqa: ARG002  nobody tells
        """Taken for granted."""
        return True

    def fluency(self, text: str) -> float:  # noqa: ARG002  nobody tells
        """Taken for granted."""
        return 1.0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors. Raises `StateUnavailable` for what may pass, so that a job waits, and the Router's error else.

        A limit of the caller's own is `RateLimited`, and what its key may not is `PermissionDenied` or `BudgetExceeded`.
        """
        parts = [await self._fitted(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.vstack(parts)

    async def _fitted(self, texts: Sequence[str]) -> Vectors:
        """The same of one request; what the model refuses for its length is halved, and a text's halves are averaged."""
        try:
            return await self._ask(texts)
        except (UpstreamRejected, InvalidRequest) as refused:
            too_long = isinstance(refused, ContextLengthExceeded) or _TOO_LONG.search(refused.message)
            if not too_long or (len(texts) == 1 and len(texts[0]) <= _SHORTEST):
                raise
        if len(texts) > 1:
            middle = len(texts) // 2
            return np.vstack([await self._fitted(texts[:middle]), await self._fitted(texts[middle:])])
        text = texts[0]
        middle = text.rfind(" ", len(text) // 4, len(text) // 2) + 1 or len(text) // 2
        halves = [part for part in (text[:middle], text[middle:]) if part.strip()]
        vectors = np.vstack([await self._fitted([half]) for half in halves])
        mean = np.average(vectors, axis=0, weights=[len(half) for half in halves])
        return np.asarray([mean / (np.linalg.norm(mean) or 1.0)], np.float32)

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        caller = await self._behalf.now()
        call = Call(caller, f"rag-{secrets.token_hex(8)}", deadline=time.monotonic() + SECONDS)
        try:
            answer = await self._chat.embed(EmbeddingRequest(model=self._model, texts=tuple(texts)), call)
        except IntelliRouterError as error:
            if error.retryable and not isinstance(error, RateLimited):
                raise StateUnavailable(f"{self._model} does not embed: {error.message}") from error
            raise
        try:
            vectors = np.asarray(answer.vectors, np.float32)
        except ValueError:  # of several lengths
            vectors = np.zeros((0, 0), np.float32)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True) if vectors.ndim == 2 else np.zeros(1)
        if len(vectors) != len(texts) or not np.isfinite(lengths).all() or (lengths == 0).any():
            raise StateUnavailable(
                f"{self._model} answered {len(texts)} texts with something else than vectors"
            )
        return np.asarray(vectors / lengths, np.float32)


def _tokens(text: str) -> int:
    """Four letters of English make a token, one and a half other signs of ASCII do, and two bytes of anything else."""
    letters = sum(len(run) for run in _LETTERS.findall(text))
    beyond = 0 if text.isascii() else sum(not char.isascii() for char in text)
    long = 0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) - len(text) + beyond
    return letters // 4 + 2 * (len(text) - letters - beyond) // 3 + -(-long // 2)
