"""`history.jsonl`: every version that was ever seen, a line each. A node writes it, other nodes on its directory, and commands beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import structlog

FILE = "history.jsonl"

log = structlog.get_logger(__name__)


class Version(msgspec.Struct, frozen=True):
    """One version of one persona, as it stands in the history. An empty `source` marks a deletion."""

    name: str
    version: int
    extension: str
    source: str
    sha256: str
    at: float
    author: str = ""


def take(versions: list[Version], new: Version) -> None:
    """Put it among those of its name, by number. Where two saw the same change, the one that knows its author stays."""
    for place in range(len(versions) - 1, -1, -1):
        old = versions[place]
        if old.version == new.version and old.sha256 == new.sha256:
            if new.author and not old.author:
                versions[place] = new
            return
        if old.version < new.version:
            versions.insert(place + 1, new)
            return
    versions.insert(0, new)


class HistoryFile:
    """The file, read on from where it was read to."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._file = 0
        self._read = 0

    def news(self) -> Iterator[Version]:
        """What was added since the last time, by whomever; everything where another file took its place."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._file or found.st_size < self._read:
                    self._file, self._read = found.st_ino, 0
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return
        self._read += data.rfind(b"\n") + 1  # what has no end yet is read again
        for line in data.splitlines():
            try:
                yield msgspec.json.decode(line, type=Version)
            except msgspec.DecodeError:  # the last line of a node that died while it wrote
                log.warning("personas.history_line_skipped", file=str(self._path))

    def add(self, versions: Iterable[Version]) -> None:
        """Append them, and have them on the disk."""
        with self._path.open("ab+") as file:
            if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                # behind a line that a node died in: the next one's author would be lost with it
                file.write(b"\n")
            file.write(b"".join(msgspec.json.encode(version) + b"\n" for version in versions))
            file.flush()
            os.fsync(file.fileno())

    def replace(self, versions: Iterable[Version]) -> None:
        """Have these and no others."""
        temporary = self._path.with_name(f"{FILE}.tmp")
        with temporary.open("wb") as file:
            file.writelines(msgspec.json.encode(version) + b"\n" for version in versions)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
