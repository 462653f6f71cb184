"""What an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from intellirouter.security.caller import Caller
from intellirouter.vectors.index import Vectors

NODE = Caller(key_id="rag-manager", role="RagManager", scopes=frozenset({"inference"}))
"""On whose behalf a node embeds: documents of every tenant go together."""


class Embedder(Protocol):
    """`model` names it for good: vectors of two models are never mixed. `max_tokens` bounds one text."""

    @property
    def model(self) -> str:
        """The name a collection pins."""

    @property
    def max_tokens(self) -> int:
        """What is past it is not seen."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without those the model adds."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text, in their order."""
