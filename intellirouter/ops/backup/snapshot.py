"""The form of a snapshot: what one incremental backup held, and of which pieces.

    sums of its pieces, 32 bytes each ‖ zstd(head) ‖ its length (8 bytes) ‖ "IRSNAP01" ‖ sha256 of all before

The head, or age( zstd(head) ), is the manifest and the number of pieces of each file, in order. The sums are never encrypted, so that
what no snapshot needs can be removed without a key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from intellirouter.ops.backup import age, bounds
from intellirouter.ops.backup.archive import FORMAT, BackupDamaged, Manifest, unreadable

SUFFIX = ".irsnapshot"
SUM = 32
_MARK = b"IRSNAP01"
_TRAILER = 8 + len(_MARK) + SUM
_BLOCK = 1 << 20


class Head(msgspec.Struct):
    """`pieces` says of how many pieces each file is."""

    manifest: Manifest
    pieces: dict[str, int] = msgspec.field(default_factory=dict)


def close(sums: IO[bytes], head: Head, recipients: Sequence[Any]) -> None:
    """Write head and trailer after the sums that `sums` holds, and bring all to the disk."""
    packed = zstandard.compress(msgspec.json.encode(head))
    if recipients:
        packed = age.encrypted_bytes(packed, recipients)
    sums.write(packed + len(packed).to_bytes(8) + _MARK)
    sums.seek(0)
    digest = hashlib.file_digest(sums, "sha256").digest()  # type: ignore[arg-type]  # a temporary file is one
    sums.write(digest)
    sums.flush()
    os.fsync(sums.fileno())


class Snapshot:
    """A snapshot whose every byte was checked. Raises `BackupDamaged`."""

    def __init__(self, snapshot: Path) -> None:
        self.file = snapshot
        try:
            with snapshot.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                summed, left = hashlib.sha256(), size - SUM
                while left > 0 and (block := file.read(min(_BLOCK, left))):
                    summed.update(block)
                    left -= len(block)
                if size < _TRAILER or file.read() != summed.digest():
                    raise BackupDamaged(f"{snapshot}: its bytes are not those that were written.")
                file.seek(size - _TRAILER)
                trailer = file.read(_TRAILER)
                length = int.from_bytes(trailer[:8])
                self._end = size - _TRAILER - length
                if trailer[8:-SUM] != _MARK or self._end < 0 or self._end % SUM:
                    raise BackupDamaged(f"{snapshot}: is no snapshot.")
                if length > bounds.MANIFEST_BYTES:
                    raise BackupDamaged(f"{snapshot}: its head is too large.")
                file.seek(self._end)
                self._packed = file.read(length)
        except OSError as cause:
            raise unreadable(snapshot, cause) from cause

    @property
    def sealed(self) -> bool:
        """It needs a key to be read."""
        return self._packed.startswith(age.HEADER)

    def head(self, identities: Sequence[Any]) -> Head:
        """Raises `BackupDamaged`, and `InvalidRequest` for a sealed one when no key opens it."""
        packed = age.decrypted_bytes(self._packed, identities, self.file) if self.sealed else self._packed
        try:
            head = msgspec.json.decode(bounds.unpacked(packed, bounds.MANIFEST_BYTES), type=Head)
        except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as cause:
            raise BackupDamaged(f"{self.file}: cannot be read as a backup ({cause}).") from cause
        if head.manifest.format > FORMAT:
            raise BackupDamaged(
                f"{self.file}: was made by a newer version ({head.manifest.version}): restore it with that."
            )
        if sum(head.pieces.values()) * SUM != self._end or head.pieces.keys() != head.manifest.files.keys():
            raise BackupDamaged(f"{self.file}: its files are not those of its manifest.")
        return head

    def sums(self) -> Iterator[bytes]:
        """Of every piece, in order."""
        with self.file.open("rb") as file:
            left = self._end
            while left and (block := file.read(min(_BLOCK, left))):
                left -= len(block)
                for at in range(0, len(block), SUM):
                    yield block[at : at + SUM]

    def prefixes(self) -> NDArray[np.uint64]:
        """The first eight bytes of each sum, sorted and once."""
        raw = np.memmap(self.file, np.uint8, "r", shape=(self._end,)) if self._end else np.empty(0, np.uint8)
        return np.unique(np.ascontiguousarray(raw.reshape(-1, SUM)[:, :8]).view(np.uint64).ravel())
