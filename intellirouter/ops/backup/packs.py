"""Packs: files that hold pieces of many backups.

    frame… ‖ zstd(directory) ‖ its length (8 bytes) ‖ "IRPACK01" ‖ sha256 of all before

A frame is zstd( pieces… ), or age( zstd( pieces… ) ). The directory says of each frame where it lies and which pieces it holds;
it is never encrypted, so that who makes backups needs no secret key. A pack is called by its own sum, appears under that
name when it is complete and on the disk, and never changes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import zstandard

from intellirouter.ops.backup import age, bounds, place
from intellirouter.ops.backup.archive import BackupDamaged
from intellirouter.ops.backup.place import File

SUFFIX = ".pack"
PACK_BYTES = 32 << 20
FRAME_BYTES = 512 << 10
MOST_FRAME_BYTES = 4 << 20
"""What a frame may be, packed or not: more than any that was ever written."""
DIRECTORY_BYTES = 64 << 20
"""Pieces compressed together: small ones alone hardly shrink."""
_MARK = b"IRPACK01"
_TRAILER = 8 + len(_MARK) + 32
_BLOCK = 1 << 20
SUM_BYTES = 32


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """Where a frame lies, and its pieces in order: sum and size of each."""

    at: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    length: Annotated[int, msgspec.Meta(gt=0, le=MOST_FRAME_BYTES)]
    pieces: tuple[tuple[bytes, int], ...]


_directory = msgspec.msgpack.Decoder(list[Frame])


class PackWriter:
    """A pack under way. Its file has no name until `finish`."""

    def __init__(self, folder: Path, recipients: Sequence[Any] = ()) -> None:
        self._folder = folder
        self._recipients = recipients
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(dir=folder, suffix=".partial", delete=False)  # noqa: SIM115
        self._sum = hashlib.sha256()
        self._frames: list[Frame] = []
        self._held: list[tuple[bytes, bytes]] = []
        self._held_bytes = 0
        self.size = 0

    def add(self, sum_: bytes, piece: bytes) -> None:
        """Take a piece in."""
        self._held.append((sum_, piece))
        self._held_bytes += len(piece)
        if self._held_bytes >= FRAME_BYTES:
            self._flush()

    def copy(self, frame: Frame, packed: bytes) -> None:
        """Take a frame of another pack in as it is."""
        self._frames.append(Frame(self.size, len(packed), frame.pieces))
        self._write(packed)

    def finish(self) -> tuple[str, list[Frame]]:
        """The pack's name, and what it holds. Nothing may be added any more."""
        self._flush()
        directory = zstandard.compress(msgspec.msgpack.encode(self._frames))
        self._write(directory + len(directory).to_bytes(8) + _MARK)
        self._file.write(self._sum.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = self._sum.hexdigest()
        Path(self._file.name).replace(self._folder / f"{name}{SUFFIX}")
        sync(self._folder)
        return name, self._frames

    def discard(self) -> None:
        """Leave nothing."""
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._held:
            return
        packed = zstandard.compress(b"".join(piece for _, piece in self._held))
        if self._recipients:
            packed = age.encrypted_bytes(packed, self._recipients)
        described = tuple((sum_, len(piece)) for sum_, piece in self._held)
        self._frames.append(Frame(self.size, len(packed), described))
        self._held, self._held_bytes = [], 0
        self._write(packed)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sum.update(data)
        self.size += len(data)


def sync(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def frames(pack: File) -> list[Frame]:
    """What a pack says it holds. Raises `BackupDamaged`."""
    try:
        end = place.size(pack) - _TRAILER
        trailer = place.read_at(pack, max(0, end), _TRAILER)
        length = int.from_bytes(trailer[:8])
        if end < length or length > DIRECTORY_BYTES or trailer[8:-32] != _MARK:
            raise BackupDamaged(f"{pack}: is no pack, or was cut short.")
        raw = bounds.unpacked(place.read_at(pack, end - length, length), DIRECTORY_BYTES)
        return _directory.decode(raw)
    except (OSError, zstandard.ZstdError, msgspec.DecodeError, ValueError) as cause:
        raise BackupDamaged(f"{pack}: cannot be read as a pack ({cause}).") from cause


def packed_frame(pack: File, frame: Frame) -> bytes:
    """A frame as it lies in the pack. Raises `BackupDamaged`."""
    try:
        return place.read_at(pack, frame.at, frame.length)
    except OSError as cause:
        raise BackupDamaged(f"{pack}: cannot be read ({cause}).") from cause


def packed_run(pack: File, frames: Sequence[Frame], most: int) -> list[bytes]:
    """The first frame as it lies in the pack, and those right behind it up to `most` bytes in all, in one reading. Raises `BackupDamaged`."""
    first, *others = frames
    end, count = first.at + first.length, 1
    for frame in others:
        if frame.at != end or end + frame.length - first.at > most:
            break
        end += frame.length
        count += 1
    if count == 1:
        return [packed_frame(pack, first)]
    try:
        found = place.read_at(pack, first.at, end - first.at)
    except OSError as cause:
        raise BackupDamaged(f"{pack}: cannot be read ({cause}).") from cause
    return [found[frame.at - first.at :][: frame.length] for frame in frames[:count]]


def opened_frame(
    pack: File, frame: Frame, packed: bytes, identities: Sequence[Any] = ()
) -> dict[bytes, bytes]:
    """The pieces of a frame by their sums, each checked. Raises `BackupDamaged`, `InvalidRequest` without the key."""
    if packed.startswith(age.HEADER):
        packed = age.decrypted_bytes(packed, identities, pack)
    try:
        data = bounds.unpacked(packed, MOST_FRAME_BYTES)
    except (zstandard.ZstdError, ValueError) as cause:
        raise BackupDamaged(f"{pack}: cannot be read as a pack ({cause}).") from cause
    found, at = {}, 0
    for sum_, size in frame.pieces:
        piece = data[at : at + size]
        at += size
        if hashlib.sha256(piece).digest() != sum_:
            raise BackupDamaged(f"{pack}: a piece is not what was written.")
        found[sum_] = piece
    return found


def check(pack: File) -> None:
    """Every byte is as it was written. Raises `BackupDamaged`."""
    summed = hashlib.sha256()
    try:
        with pack.open("rb") as file:
            left = place.size(pack) - 32
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                summed.update(block)
                left -= len(block)
            if file.read() != summed.digest() or summed.hexdigest() != pack.stem:
                raise BackupDamaged(f"{pack}: its bytes are not those that were written.")
    except OSError as cause:
        raise BackupDamaged(f"{pack}: cannot be read ({cause}).") from cause
