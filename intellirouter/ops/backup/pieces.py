"""A stream cut into pieces where its content says: what is inserted or removed moves only the cuts beside it.

FastCDC: Xia et al. 2016, "FastCDC: a fast and efficient content-defined chunking approach for data deduplication". Pieces are
small because a changed page of a database should cost little more than itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import IO, Any

LEAST, USUAL, MOST = 2 << 10, 8 << 10, 64 << 10
"""Bytes of a piece."""
WINDOW = 8 << 20
"""Bytes looked at together."""


def pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """The pieces of a stream, in order; together they are the stream. An empty stream has none."""
    cut: Callable[..., Iterator[Any]] = importlib.import_module("fastcdc").fastcdc
    held, ended = b"", False
    while not ended:
        data = held + _filled(stream, WINDOW - len(held))
        ended = len(data) < WINDOW
        if not data:
            return
        found = [(piece.offset, piece.length) for piece in cut(data, LEAST, USUAL, MOST)]
        held = b""
        if not ended:  # where the window ends is no cut of the content
            start, _ = found.pop()
            held = data[start:]
        for start, length in found:
            yield data[start : start + length]


def _filled(stream: IO[bytes], size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
