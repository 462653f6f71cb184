"""The canonical embeddings request and answer."""

from __future__ import annotations

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


class EmbeddingResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One vector per input, in input order; or `raw`, the vendor's bytes, which say what the client asked for as it asked."""

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
    raw: bytes | None = None
