"""Ids for tool calls, which Ollama often leaves out."""

from __future__ import annotations

import zlib


def call_id(seed: str, index: int) -> str:
    """An id that is the same whenever the same call is read again; `seed` tells turns apart."""
    return f"call_{zlib.crc32(seed.encode()):08x}_{index}"
