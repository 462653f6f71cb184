"""Files on the disk, encrypted a piece at a time, so that none need fit into memory.

A sealed file is a mark, an id of its own (random), and frames: four bytes of length (big-endian), then a sealed value (`sealing.Sealer`) that
is bound to the file's id, its number and whether it is the last. A frame that is changed, moved, left out or cut off is found; so is
a file that ends early. Source of the construction: Hoang, Reyhanitabar, Rogaway and Vizár 2015, "Online authenticated-encryption
and its nonce-reuse misuse-resistance" (STREAM). A file without the mark was kept before there was a key, and is read as it is.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from intellirouter.security.sealing import NotOpened, Sealer

PURPOSE = "file"
MARK = b"\x00irf1"
FRAME = 1 << 20
"""Bytes of the file in a frame."""
_ID = 16
_LENGTH = 4
_MOST = FRAME + 256
"""Bytes of a frame as it lies there, at most."""


class Sink(Protocol):
    """What takes the bytes of a file."""

    def write(self, data: bytes, /) -> object:
        """More of it."""


class _Sealed:
    def __init__(self, handle: BinaryIO, sealer: Sealer) -> None:
        self._handle = handle
        self._sealer = sealer
        self._id = secrets.token_bytes(_ID)
        self._number = 0
        self._rest = bytearray()
        handle.write(MARK + self._id)

    def write(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) > FRAME:  # what may be the last one waits
            self._frame(bytes(self._rest[:FRAME]), last=False)
            del self._rest[:FRAME]

    def end(self) -> None:
        self._frame(bytes(self._rest), last=True)

    def _frame(self, data: bytes, *, last: bool) -> None:
        sealed = self._sealer.seal(PURPOSE, _place(self._id, self._number, last=last), data)
        self._handle.write(len(sealed).to_bytes(_LENGTH) + sealed)
        self._number += 1


@contextlib.contextmanager
def writing(path: Path, sealer: Sealer | None) -> Iterator[Sink]:
    """A new file at `path`, encrypted where there is a sealer; whole when the context ends without an error."""
    with path.open("wb") as handle:
        if sealer is None:
            yield handle
            return
        sealed = _Sealed(handle, sealer)
        yield sealed
        sealed.end()


def reading(path: Path, sealer: Sealer | None) -> Iterator[bytes]:
    """What was written, a piece at a time. Raises `NotOpened`, `OSError`."""
    with path.open("rb") as handle:
        head = handle.read(len(MARK)) if sealer is not None else b""
        if sealer is not None and head == MARK:
            yield from _frames(handle, sealer)
            return
        if head:
            yield head
        while piece := handle.read(FRAME):
            yield piece


def is_current(path: Path, sealer: Sealer) -> bool:
    """Whether it is encrypted, with the key that seals now."""
    with path.open("rb") as handle:
        if handle.read(len(MARK)) != MARK:
            return False
        handle.seek(len(MARK) + _ID + _LENGTH)
        return sealer.is_current(handle.read(32))


def reseal(path: Path, sealer: Sealer) -> bool:
    """Encrypt the file with the key that seals now, unless it is; whole, or not at all. False where it was, or is gone. Raises `NotOpened`."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        if is_current(path, sealer):
            return False
        with writing(fresh, sealer) as sink:
            for piece in reading(path, sealer):
                sink.write(piece)
        if not path.exists():  # it was deleted meanwhile
            return False
        fresh.replace(path)
    except FileNotFoundError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    return True


def _frames(handle: BinaryIO, sealer: Sealer) -> Iterator[bytes]:
    id_, number, last = handle.read(_ID), 0, False
    length = handle.read(_LENGTH)
    while not last:
        size = int.from_bytes(length)
        sealed = handle.read(size) if len(length) == _LENGTH and size <= _MOST else b""
        if not sealer.is_sealed(sealed):
            raise NotOpened("A file that is kept was changed or cut off.")
        length = handle.read(_LENGTH)
        last = not length
        yield sealer.open(PURPOSE, _place(id_, number, last=last), sealed)
        number += 1


def _place(id_: bytes, number: int, *, last: bool) -> str:
    return f"{id_.hex()}:{number}:{'last' if last else 'more'}"
