"""The format of a backup: a file that is whole, or is refused.

    zstd( tar( files…, manifest.json ) )  ‖  "IRBACKUP"  ‖  sha256 of all before the mark

The manifest comes last, when sizes and sums are known, so that the whole is written in one pass. The trailing sum covers
every byte: an archive cut short has no trailer, and one with a changed byte has another sum. The file takes its name only
when it is complete and on the disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import zstandard

from intellirouter.errors import IntelliRouterError

FORMAT = 1
MANIFEST = "manifest.json"
SUFFIX = ".irbackup"
_MARK = b"IRBACKUP"
_TRAILER = len(_MARK) + 32
_BLOCK = 1 << 20


class BackupDamaged(IntelliRouterError):
    """The file is not a whole backup."""

    code = "backup_damaged"


class Entry(msgspec.Struct, frozen=True):
    """One file: its bytes and their sum."""

    size: int
    sha256: str


class Manifest(msgspec.Struct):
    """What a backup holds. `counts` is records per store; `absent` says what is not in it, and why."""

    format: int
    version: str
    created: str
    files: dict[str, Entry] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    absent: dict[str, str] = msgspec.field(default_factory=dict)


class _Summing(io.RawIOBase):
    """Passes bytes through to or from a file, and sums them; reading ends before the trailer."""

    def __init__(self, stream: IO[bytes], length: int = 0) -> None:
        self._stream = stream
        self._left = length
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        taken = memoryview(data)  # type: ignore[arg-type]  # a buffer, by the contract of RawIOBase
        self.sha256.update(taken)
        return self._stream.write(taken)

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        self._left -= len(data)
        self.sha256.update(data)
        return data


class _Counted(io.RawIOBase):
    """A file as it is read, with the sum of what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.sha256.update(data)
        return data


class Writer:
    """Adds files to an archive under way."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar = tar
        self.manifest = manifest

    def add(self, name: str, file: Path) -> None:
        """Stream a file in. Raises `OSError`, also when the file shrinks meanwhile."""
        with file.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = facts.st_size, int(facts.st_mtime), facts.st_mode & 0o777
            counted = _Counted(stream)
            self._tar.addfile(entry, counted)
        self.manifest.files[name] = Entry(facts.st_size, counted.sha256.hexdigest())


@contextmanager
def create(target: Path, manifest: Manifest) -> Iterator[Writer]:
    """An archive that appears under its name when the block ends well, and leaves nothing when it does not."""
    partial = target.with_name(f".{target.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            summing = _Summing(file)
            squeeze = zstandard.ZstdCompressor(level=3, write_checksum=True)
            with (
                squeeze.stream_writer(summing, closefd=False) as packed,  # type: ignore[arg-type]  # it only writes
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                yield Writer(tar, manifest)
                data = msgspec.json.encode(manifest)
                last = tarfile.TarInfo(MANIFEST)
                last.size = len(data)
                tar.addfile(last, io.BytesIO(data))
            file.write(_MARK + summing.sha256.digest())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        partial.unlink(missing_ok=True)


Sink = Callable[[str, IO[bytes]], None]
"""Takes one file of an archive: its name and its bytes, to be read before it returns."""


def read(archive: Path, sink: Sink | None = None) -> Manifest:
    """Read a whole archive, check every sum, and hand each file to `sink` on the way.

    What `sink` was given may be used only when this returns. Raises `BackupDamaged`.
    """
    try:
        with archive.open("rb") as file:
            length = file.seek(0, os.SEEK_END) - _TRAILER
            if length < 0:
                raise BackupDamaged(f"{archive}: is no backup, or was cut short.")
            file.seek(0)
            summing = _Summing(file, length)
            found, manifest = _unpack(summing, sink)
            while summing.read(_BLOCK):
                pass
            if file.read() != _MARK + summing.sha256.digest():
                raise BackupDamaged(f"{archive}: its bytes are not those that were written.")
    except (OSError, zstandard.ZstdError, tarfile.TarError, msgspec.DecodeError, ValueError) as cause:
        raise BackupDamaged(f"{archive}: cannot be read as a backup ({cause}).") from cause
    if manifest is None or found != manifest.files:
        raise BackupDamaged(f"{archive}: its files are not those of its manifest.")
    if manifest.format > FORMAT:
        raise BackupDamaged(
            f"{archive}: was made by a newer version ({manifest.version}): restore it with that."
        )
    return manifest


def _unpack(source: _Summing, sink: Sink | None) -> tuple[dict[str, Entry], Manifest | None]:
    found: dict[str, Entry] = {}
    manifest = None
    packed = zstandard.ZstdDecompressor().stream_reader(source, closefd=False)  # type: ignore[arg-type]
    with tarfile.open(fileobj=packed, mode="r|") as tar:
        for entry in tar:
            stream = tar.extractfile(entry)
            if stream is None:
                raise tarfile.TarError(f"{entry.name} is no file")
            if entry.name == MANIFEST:
                manifest = msgspec.json.decode(stream.read(), type=Manifest)
                continue
            counted = _Counted(stream)
            if sink is not None:
                sink(entry.name, counted)  # type: ignore[arg-type]  # it only reads
            while counted.read(_BLOCK):
                pass
            found[entry.name] = Entry(entry.size, counted.sha256.hexdigest())
    return found, manifest
