"""Where backups lie: a directory, or a prefix of a bucket (`s3.py`), and the files in either."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import s3


class File(Protocol):
    """What is asked of a backup's file, as `Path` has it; `str` says where it lies."""

    @property
    def name(self) -> str:
        """The last part of its address."""

    @property
    def stem(self) -> str:
        """The name without its suffix."""

    @property
    def suffix(self) -> str:
        """The end of the name, with its dot."""

    @property
    def parent(self) -> Directory:
        """Where it lies."""

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Its bytes, with `seek`. Raises `OSError`, `StateUnavailable`."""

    def unlink(self) -> None:
        """Remove it. Raises `OSError`, `StateUnavailable`."""


class Directory(Protocol):
    """What is asked of where backups lie, as `Path` has it."""

    def __truediv__(self, name: str) -> File:
        """The file of that name in it."""

    def glob(self, pattern: str) -> Iterator[File]:
        """Its files whose names fit. Raises `OSError`, `StateUnavailable`."""


def directory(address: str) -> Directory:
    """A path, or `s3://BUCKET/PREFIX`. Raises `InvalidRequest`."""
    return s3.Prefix.at(address) if address.startswith(s3.SCHEME) else Path(address)


def file(address: str) -> File:
    """A path, or `s3://BUCKET/PREFIX/NAME`. Raises `InvalidRequest`."""
    if not address.startswith(s3.SCHEME):
        return Path(address)
    place, _, name = address.rpartition("/")
    return s3.Prefix.at(place) / name


def local(place: File | Directory) -> Path:
    """What can only be done on this machine's disk. Raises `InvalidRequest` for a bucket."""
    if not isinstance(place, Path):
        raise InvalidRequest(
            f"{place}: incremental backups lie in a directory; without --incremental a bucket will do."
        )
    return place


def size(place: File) -> int:
    """Bytes. Raises `OSError`, `StateUnavailable`."""
    return place.size() if isinstance(place, s3.Object) else Path(str(place)).stat().st_size


def create(target: File, data: bytes) -> bool:
    """Write a small file that is not there yet; False when it is. Raises `OSError`, `StateUnavailable`."""
    if isinstance(target, s3.Object):
        return target.create(data)
    path = local(target)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _on_disk(partial) as stream:
        stream.write(data)
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True


@contextmanager
def writing(target: File) -> Iterator[IO[bytes]]:
    """A stream whose bytes appear as `target` when the block ends well, and leave nothing when it does not."""
    work: AbstractContextManager[IO[bytes]] = (
        target.writing() if isinstance(target, s3.Object) else _on_disk(local(target))
    )
    with work as stream:
        yield stream


@contextmanager
def _on_disk(target: Path) -> Iterator[IO[bytes]]:
    partial = target.with_name(f".{target.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)
