"""The canonical embeddings request and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from intellirouter.chat.response import Usage


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts (or token ids) to embed. Exactly one of `texts` and `tokens` is non-empty."""

    model: str
    texts: tuple[str, ...] = ()
    tokens: tuple[tuple[int, ...], ...] = ()
    dimensions: int | None = None
    base64: bool = False  # the client wants little-endian float32 in base64
    input_type: str | None = None  # query or document, where the vendor distinguishes
    user: str | None = None
    extra: dict[str, Any] = {}  # what else was asked, for targets of `extra_dialect`
    each: tuple[dict[str, Any], ...] = ()  # and of every single text, in their order
    extra_dialect: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """All that its vectors are made of in words: the texts, and the titles of those that have one."""
        return (*self.texts, *(one["title"] for one in self.each if "title" in one))

    def saying(self, words: Sequence[str]) -> EmbeddingRequest:
        """The request with these in place of its `words`."""
        titles = iter(words[len(self.texts) :])
        each = tuple({**one, "title": next(titles)} if "title" in one else one for one in self.each)
        return msgspec.structs.replace(self, texts=tuple(words[: len(self.texts)]), each=each)


class EmbeddingResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One vector per input, in input order; or `raw`, the vendor's bytes, which say what the client asked for as it asked."""

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
    raw: bytes | None = None
