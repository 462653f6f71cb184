"""How much of a backup is held in memory at a time: what an archive says of its sizes is not believed."""

from __future__ import annotations

import io
import tarfile
from typing import IO, Any

import zstandard

MANIFEST_BYTES = 256 << 20
"""Of a manifest or the head of a snapshot: some million files."""
HEADER_BYTES = 1 << 20
"""Of one extended header of a tar archive: a name."""
NAMES_BYTES = 512 << 20
"""Of all names of an archive, which are held until its manifest comes."""
NAME_COST = 200
"""What one name costs beside its characters."""


def unpacked(packed: bytes, most: int) -> bytes:
    """What `packed` (zstd) holds. Raises `ValueError` when it is more than `most` bytes."""
    raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read(most + 1)
    if len(raw) > most:
        raise ValueError(f"it unpacks to more than {most} bytes")
    return raw


def whole(stream: IO[bytes], most: int) -> bytes:
    """All of a stream. Raises `ValueError` when it is more than `most` bytes."""
    raw = stream.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"a part of it is larger than {most} bytes")
    return raw


class BoundedEntry(tarfile.TarInfo):
    """An entry whose extended headers, which tarfile reads into memory whole, are short."""

    _HEADERS = frozenset(
        {
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        }
    )

    def _proc_member(self, archive: Any) -> Any:
        if self.type in self._HEADERS and self.size > HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]  # tarfile's own hook for its kinds of entries
