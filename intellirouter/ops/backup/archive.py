"""The format of a backup: a file that is whole, or is refused.

    zstd( tar( files…, manifest.json ) )  ‖  "IRBACKUP"  ‖  sha256 of all before the mark

or age( zstd( … ) ) in place of zstd( … ) when it is encrypted: the sum can then be checked without the key.

The manifest comes last, when sizes and sums are known, so that the whole is written in one pass. The trailing sum covers
every byte: an archive cut short has no trailer, and one with a changed byte has another sum. The file takes its name only
when it is complete and on the disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import msgspec
import zstandard

from intellirouter.errors import IntelliRouterError, InvalidRequest
from intellirouter.ops.backup import age, bounds, place
from intellirouter.ops.backup.place import File

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
    """What a backup holds. `counts` is records per store; `absent` says what is not in it, and why; `seals` who made it (`seal.py`);
    `host` is the machine's name, `node` that of its configuration file.
    """

    format: int
    version: str
    created: str
    files: dict[str, Entry] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    absent: dict[str, str] = msgspec.field(default_factory=dict)
    seals: dict[str, str] = msgspec.field(default_factory=dict)
    host: str = ""
    node: str = ""
    keys: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Ids of the `[security]` keys that what it holds is encrypted with; absent where there are none."""


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
def create(
    target: File,
    manifest: Manifest,
    recipients: Sequence[Any] = (),
    seal: Callable[[Manifest], None] = lambda _: None,
) -> Iterator[Writer]:
    """An archive that appears under its name when the block ends well, and leaves nothing when it does not.

    With `recipients` (`age.py`) nothing of it is ever on the disk in clear. `seal` vouches for the manifest when it is whole.
    """
    with place.writing(target) as file:
        summing = _Summing(file)
        squeeze = zstandard.ZstdCompressor(level=3, write_checksum=True)
        with (
            age.encrypting(summing, recipients) if recipients else nullcontext(summing) as sink,
            squeeze.stream_writer(sink, closefd=False) as packed,  # type: ignore[arg-type]  # it only writes
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            yield Writer(tar, manifest)
            seal(manifest)
            data = msgspec.json.encode(manifest)
            last = tarfile.TarInfo(MANIFEST)
            last.size = len(data)
            tar.addfile(last, io.BytesIO(data))
        file.write(_MARK + summing.sha256.digest())


Sink = Callable[[str, IO[bytes]], None]
"""Takes one file of an archive: its name and its bytes, to be read before it returns."""


def encrypted(archive: File) -> bool:
    """True for an archive that needs a key to be read."""
    with archive.open("rb") as file:
        return file.read(len(age.HEADER)) == age.HEADER


def verify(archive: File, identities: Sequence[Any] = ()) -> Manifest | None:
    """Read the whole archive; its manifest, None when it is encrypted and no key was given. Raises `BackupDamaged`."""
    try:
        if not encrypted(archive) or identities:
            return read(archive, identities=identities)
        with archive.open("rb") as file:
            length = file.seek(0, os.SEEK_END) - _TRAILER
            file.seek(0)
            summing = _Summing(file, length)
            while summing.read(_BLOCK):
                pass
            if length < 0 or file.read() != _MARK + summing.sha256.digest():
                raise BackupDamaged(f"{archive}: its bytes are not those that were written.")
    except OSError as cause:
        raise unreadable(archive, cause) from cause
    return None


def unreadable(archive: File, cause: Exception) -> BackupDamaged:
    """What is said of a file that cannot be read: the system's words without its number and the name once more."""
    words = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return BackupDamaged(f"{archive}: cannot be read as a backup ({words}).")


def read(archive: File, sink: Sink | None = None, identities: Sequence[Any] = ()) -> Manifest:
    """Read a whole archive, check every sum, and hand each file to `sink` on the way.

    What `sink` was given may be used only when this returns. Raises `BackupDamaged`, and `InvalidRequest` for an
    encrypted one without a key.
    """
    try:
        with archive.open("rb") as file:
            length = file.seek(0, os.SEEK_END) - _TRAILER
            if length < 0:
                raise BackupDamaged(f"{archive}: is no backup, or was cut short.")
            file.seek(0)
            summing = _Summing(file, length)
            sealed = file.read(len(age.HEADER)) == age.HEADER
            file.seek(0)
            if sealed and not identities:
                raise InvalidRequest(
                    f"{archive} is encrypted: name the file of its key with --identity, or of its passphrase with --passphrase-file."
                )
            with age.decrypting(summing, identities) if sealed else nullcontext(summing) as source:
                found, manifest = _unpack(source, sink)
                while source.read(_BLOCK):
                    pass
            while summing.read(_BLOCK):
                pass
            if file.read() != _MARK + summing.sha256.digest():
                raise BackupDamaged(f"{archive}: its bytes are not those that were written.")
    except (zstandard.ZstdError, tarfile.TarError, msgspec.DecodeError, ValueError) as cause:
        if not _ended(archive):
            raise BackupDamaged(f"{archive}: is no backup, or was cut short.") from cause
        raise unreadable(archive, cause) from cause
    except OSError as cause:
        raise unreadable(archive, cause) from cause
    if manifest is None or found != manifest.files:
        raise BackupDamaged(f"{archive}: its files are not those of its manifest.")
    if manifest.format > FORMAT:
        raise BackupDamaged(
            f"{archive}: was made by a newer version ({manifest.version}): restore it with that."
        )
    return manifest


def _ended(archive: File) -> bool:
    """Whether it ends as one that was written whole."""
    try:
        with archive.open("rb") as file:
            file.seek(-_TRAILER, os.SEEK_END)
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return True  # what was said first holds


def _unpack(source: Any, sink: Sink | None) -> tuple[dict[str, Entry], Manifest | None]:
    found: dict[str, Entry] = {}
    manifest = None
    packed = zstandard.ZstdDecompressor().stream_reader(source, closefd=False)
    names = 0
    with tarfile.open(fileobj=packed, mode="r|", tarinfo=bounds.BoundedEntry) as tar:
        for entry in tar:
            tar.members.clear()  # type: ignore[attr-defined]  # it keeps every entry, and nobody asks again
            names += len(entry.name) + bounds.NAME_COST
            stream = tar.extractfile(entry) if entry.isreg() else None
            if stream is None or entry.issparse() or names > bounds.NAMES_BYTES:
                raise tarfile.TarError(f"{entry.name[:100]} is no file, or one too many")
            if entry.name == MANIFEST:
                manifest = msgspec.json.decode(bounds.whole(stream, bounds.MANIFEST_BYTES), type=Manifest)
                continue
            counted = _Counted(stream)
            if sink is not None:
                sink(entry.name, counted)  # type: ignore[arg-type]  # it only reads
            while counted.read(_BLOCK):
                pass
            found[entry.name] = Entry(entry.size, counted.sha256.hexdigest())
    return found, manifest
