"""A provider's embedding model, asked through the Router: its keys, retries, limits and costs apply."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import numpy as np

from intellirouter.chat.embedding import EmbeddingRequest
from intellirouter.chat.tokens import CHARACTERS_PER_TOKEN
from intellirouter.errors import IntelliRouterError, RateLimited, StateUnavailable
from intellirouter.peers.contract import Call, ChatCompleter
from intellirouter.roles.rag_manager.embedding.embedder import NODE, Behalf, asked_by
from intellirouter.vectors.index import Vectors

BATCH = 64
"""Texts in one request: within what every vendor takes."""
SECONDS = 60.0


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
        """About how many tokens each has."""
        return [-(-len(text) // CHARACTERS_PER_TOKEN) for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors. Raises `StateUnavailable` for what may pass, so that a job waits, and the Router's error else.

        A limit of the caller's own is `RateLimited`, and what its key may not is `PermissionDenied` or `BudgetExceeded`.
        """
        parts = [await self._ask(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.vstack(parts)

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        caller = await self._behalf.now()
        call = Call(caller, f"rag-{secrets.token_hex(8)}", deadline=time.monotonic() + SECONDS)
        try:
            answer = await self._chat.embed(EmbeddingRequest(model=self._model, texts=tuple(texts)), call)
        except IntelliRouterError as error:
            if error.retryable and not isinstance(error, RateLimited):
                raise StateUnavailable(f"{self._model} does not embed: {error.message}") from error
            raise
        vectors = np.asarray(answer.vectors, np.float32)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True) if vectors.ndim == 2 else np.zeros(1)
        if len(vectors) != len(texts) or not np.isfinite(lengths).all() or (lengths == 0).any():
            raise StateUnavailable(
                f"{self._model} answered {len(texts)} texts with something else than vectors"
            )
        return np.asarray(vectors / lengths, np.float32)
