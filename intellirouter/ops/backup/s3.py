"""Backups in a bucket of any S3 service. Credentials, region and endpoint are those of the environment (`AWS_…`).

An archive is sent while it is made, in parts; the service shows it under its name when the last part has arrived, and never half of it.
"""

from __future__ import annotations

import fnmatch
import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any, Literal, cast

from intellirouter.config import env
from intellirouter.config.shown import without_names
from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import pipe
from intellirouter.ops.backup.remote import RemoteDirectory, RemoteFile
from intellirouter.transport.bucket import BUCKET, errors, opened

SCHEME = "s3://"
PART_BYTES = 16 << 20
"""Of 10,000 parts an archive may be: 160 GB."""
PARTS_AT_ONCE = 3
READ_AHEAD = 8 << 20
_BLOCK = 1 << 20


class Prefix(RemoteDirectory):
    """The part of a bucket where backups lie. See `place.Directory`."""

    def __init__(self, address: str, store: Any, within: str = "") -> None:
        self._address, self._store, self._within = address, store, within

    @classmethod
    def at(cls, address: str) -> Prefix:
        """Of `s3://BUCKET/PREFIX`. Asks nothing of the service yet. Raises `InvalidRequest`."""
        bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
        if not BUCKET.fullmatch(bucket) or set(prefix) & set("?#"):
            raise InvalidRequest(f"{without_names(address)}: is no s3://BUCKET/PREFIX.")
        endpoint = env.current().get("AWS_ENDPOINT_URL", "")
        store = opened(address, bucket, prefix, allow_http=endpoint.startswith("http://"))
        return cls(address.rstrip("/"), store)

    def __str__(self) -> str:
        return self._address

    def __truediv__(self, name: str) -> Object:
        return Object(self, self._store, name, f"{self._within}{name}")

    def folder(self, name: str) -> Prefix:
        """See `RemoteDirectory.folder`."""
        return Prefix(f"{self}/{name}", self._store, f"{self._within}{name}/")

    def glob(self, pattern: str) -> Iterator[Object]:
        """The objects right under it whose names fit. Raises `OSError`, `StateUnavailable`."""
        with errors(str(self)):
            found = importlib.import_module("obstore").list_with_delimiter(self._store, self._within or None)[
                "objects"
            ]
        for entry in found:
            if fnmatch.fnmatchcase(name := PurePosixPath(entry["path"]).name, pattern):
                yield Object(self, self._store, name, f"{self._within}{name}", entry["size"])


class Object(RemoteFile):
    """One object. See `place.File`."""

    def __init__(self, parent: Prefix, store: Any, name: str, key: str, size: int | None = None) -> None:
        super().__init__(parent, name, size)
        self._store, self._key = store, key

    def _ask_size(self) -> int:
        with errors(str(self)):
            size: int = importlib.import_module("obstore").head(self._store, self._key)["size"]
        return size

    def read_at(self, at: int, length: int) -> bytes:
        """So many bytes from there, fewer only at the end. Raises `OSError`, `StateUnavailable`."""
        if length <= 0:
            return b""
        with errors(str(self)):
            return bytes(
                importlib.import_module("obstore").get_range(self._store, self._key, start=at, length=length)
            )

    def open(self, mode: Literal["rb"]) -> IO[bytes]:  # noqa: ARG002  as `Path` has it
        """Its bytes, fetched as they are read. Raises `OSError`, `StateUnavailable`."""
        with errors(str(self)):
            reader = importlib.import_module("obstore").open_reader(
                self._store, self._key, buffer_size=READ_AHEAD
            )
        return io.BufferedReader(_Reading(str(self), reader), _BLOCK)

    def unlink(self) -> None:
        """Remove it. Raises `StateUnavailable`."""
        with errors(str(self)):
            importlib.import_module("obstore").delete(self._store, self._key)

    def create(self, data: bytes) -> bool:
        """See `place.create`. Raises `OSError`, `StateUnavailable`."""
        obstore = importlib.import_module("obstore")
        try:
            with errors(str(self)):
                obstore.put(self._store, self._key, data, mode="create")
        except FileExistsError:
            return False
        return True

    @contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """See `place.writing`. Raises `OSError`, `StateUnavailable`."""
        whole = False

        def parts(source: IO[bytes]) -> Iterator[bytes]:
            while data := source.read(_BLOCK):
                yield data
            if not whole:  # what came is not all: the service is told to drop it
                raise BrokenPipeError

        def send(source: IO[bytes]) -> None:
            with errors(str(self)):
                importlib.import_module("obstore").put(
                    self._store,
                    self._key,
                    parts(source),
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )

        with pipe.drained(send) as stream:
            yield stream
            stream.flush()
            whole = True


class _Reading(io.RawIOBase):
    """Lets obstore's reader be read like a file."""

    def __init__(self, address: str, reader: Any) -> None:
        self._address, self._reader = address, reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return cast("int", self._reader.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        with errors(self._address):
            data = memoryview(self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)
