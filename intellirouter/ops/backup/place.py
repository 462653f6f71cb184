"""Where backups lie, and the files there: a directory of this machine, or any other place behind the same few words.

A bucket (`s3.py`), a server by SFTP (`sftp.py`), or whatever rclone knows (`rclone.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import rclone, s3, sftp
from intellirouter.ops.backup.remote import RemoteDirectory, RemoteFile

KINDS: dict[str, Callable[[str], Directory]] = {
    s3.SCHEME: s3.Prefix.at,
    sftp.SCHEME: sftp.SftpDirectory.at,
    rclone.SCHEME: rclone.RcloneDirectory.at,
}
"""Address → place."""


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
    """A path, or an address of one of `KINDS`. Raises `InvalidRequest`."""
    scheme = next((scheme for scheme in KINDS if address.startswith(scheme)), None)
    return KINDS[scheme](address) if scheme else Path(address)


def made(address: str) -> Directory:
    """The same, and there: a directory of this machine is made where it is missing. Raises `InvalidRequest` for a file."""
    where = directory(address)
    if isinstance(where, Path):
        if where.exists() and not where.is_dir():
            raise InvalidRequest(f"{where} is a file: backups go into a directory.", param="--to")
        where.mkdir(parents=True, exist_ok=True)
    return where


def file(address: str) -> File:
    """The same with the name of a file at its end. Raises `InvalidRequest`."""
    if not address.startswith(tuple(KINDS)):
        return Path(address)
    place, _, name = address.rpartition("/")
    return directory(place) / name


def local(place: File | Directory) -> Path:
    """What can only be done on this machine's disk. Raises `InvalidRequest` for another place."""
    if not isinstance(place, Path):
        raise InvalidRequest(f"{place}: this is done on a directory of this machine alone.")
    return place


def folder(place: Directory, name: str) -> Directory:
    """A directory in a directory; in this machine's it is made when something is written."""
    return place.folder(name) if isinstance(place, RemoteDirectory) else local(place) / name


def size(place: File) -> int:
    """Bytes. Raises `OSError`, `StateUnavailable`."""
    return place.size() if isinstance(place, RemoteFile) else local(place).stat().st_size


def read_at(place: File, at: int, length: int) -> bytes:
    """So many bytes from there, fewer only at the end. Raises `OSError`, `StateUnavailable`."""
    if isinstance(place, RemoteFile):
        return place.read_at(at, length)
    with local(place).open("rb") as stream:
        stream.seek(at)
        return stream.read(length)


def create(target: File, data: bytes) -> bool:
    """Write a small file that is not there yet; False when it is. Raises `OSError`, `StateUnavailable`."""
    if isinstance(target, RemoteFile):
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
        target.writing() if isinstance(target, RemoteFile) else _on_disk(local(target))
    )
    with work as stream:
        yield stream


def send(source: Path, target: File) -> None:
    """Bring a file of this machine there, whole. Raises `OSError`, `StateUnavailable`."""
    with source.open("rb") as stream, writing(target) as out:
        shutil.copyfileobj(stream, out, 1 << 20)


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
