"""Arrays from a file that somebody may have made up: numpy's own format, bounded, and wrong in one way only."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_UNPACKED = 128 * 1024 * 1024
"""Bytes of all arrays of a file. The largest group that is kept has a fifth of it."""
_WRONG = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    OSError,
    EOFError,
    OverflowError,
    MemoryError,
    RuntimeError,  # packed in a way, or with a password, that nobody reads here
    TypeError,
    SyntaxError,
)


def unpacked(data: bytes, names: Sequence[str]) -> list[NDArray[Any]]:
    """These arrays of an npz file. Raises `ValueError` for whatever else the bytes are."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > MAX_UNPACKED:
            raise ValueError(f"unpacked it has {size:,} bytes, and may have {MAX_UNPACKED:,}")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return [file[name] for name in names]
    except _WRONG as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error


def fits(array: NDArray[Any], *shape: int) -> bool:
    """Whether it has this shape, and nothing but finite numbers."""
    return array.shape == shape and array.dtype.kind == "f" and bool(np.isfinite(array).all())
