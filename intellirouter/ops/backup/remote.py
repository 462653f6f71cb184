"""What every place beyond this disk has: an address, names under it, and bytes that are read in parts."""

from __future__ import annotations

import abc
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import IO, Literal

_BLOCK = 1 << 20


class RemoteDirectory(abc.ABC):
    """See `place.Directory`. Every method raises `OSError` or `StateUnavailable`."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """Its address."""

    @abc.abstractmethod
    def __truediv__(self, name: str) -> RemoteFile:
        """The file of that name in it."""

    @abc.abstractmethod
    def folder(self, name: str) -> RemoteDirectory:
        """A directory in it, which comes to be with its first file."""

    @abc.abstractmethod
    def glob(self, pattern: str) -> Iterator[RemoteFile]:
        """The files right under it whose names fit."""


class RemoteFile(abc.ABC):
    """See `place.File`. Every method raises `OSError` or `StateUnavailable`."""

    def __init__(self, parent: RemoteDirectory, name: str, size: int | None = None) -> None:
        self.parent, self.name = parent, name
        self._size = size

    def __str__(self) -> str:
        return f"{self.parent}/{self.name}"

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    def size(self) -> int:
        """Bytes."""
        if self._size is None:
            self._size = self._ask_size()
        return self._size

    @abc.abstractmethod
    def _ask_size(self) -> int:
        """Bytes, asked now."""

    @abc.abstractmethod
    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Its bytes, fetched as they are read."""

    @abc.abstractmethod
    def read_at(self, at: int, length: int) -> bytes:
        """So many bytes from there, fewer only at the end."""

    @abc.abstractmethod
    def unlink(self) -> None:
        """Remove it."""

    @abc.abstractmethod
    def create(self, data: bytes) -> bool:
        """See `place.create`."""

    @abc.abstractmethod
    def writing(self) -> AbstractContextManager[IO[bytes]]:
        """See `place.writing`."""


class _ReadByParts(io.RawIOBase):
    """A file of which parts can be fetched, read like one that is here."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size()}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io hands it is one
        left = self._file.size() - self._at
        data = self._file.read_at(self._at, min(len(buffer), left)) if left > 0 else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def by_parts(file: RemoteFile, block: int = 8 * _BLOCK) -> IO[bytes]:
    """Its bytes as a stream with `seek`, fetched `block` bytes at a time."""
    return io.BufferedReader(_ReadByParts(file), block)
