"""The documents and files as they came, by the SHA-256 of their bytes; encrypted where the node has a key."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from intellirouter.security import sealed_files
from intellirouter.security.sealed_files import Sink
from intellirouter.security.sealing import Sealer

RAG, BLOBS, CATALOG_FILE = "rag", "blobs", "catalog.sqlite3"
"""The room of a RagManager in the data directory, and in it these files and the catalogue of them."""
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Blobs:
    """A directory of them. Methods block."""

    directory: Path
    sealer: Sealer | None = None

    def place(self, digest: str) -> Path:
        """Where those bytes lie."""
        return self.directory / digest

    def partial(self, name: str = "") -> Path:
        """A place for what is not whole yet; the directory is made."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        return self.directory / f"{name or f'upload.{secrets.token_hex(12)}'}{PARTIAL}"

    def writing(self, path: Path) -> contextlib.AbstractContextManager[Sink]:
        """A new file at `path`, a place of this directory."""
        return sealed_files.writing(path, self.sealer)

    def reading(self, path: Path) -> Iterator[bytes]:
        """What was written there, a piece at a time. Raises `NotOpened`, `OSError`."""
        return sealed_files.reading(path, self.sealer)

    def sweep(self, parts: Collection[str]) -> None:
        """Remove what a process that died left half written; `parts` are kept. Nobody else may use the directory meanwhile."""
        for file in self.directory.glob(f"*{PARTIAL}"):
            if file.name.removesuffix(PARTIAL) not in parts:
                file.unlink(missing_ok=True)

    def keep(self, data: bytes) -> str:
        """Write them under their SHA-256, whole or not at all."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.place(digest)
        if not target.exists():
            part = self.partial(f"{digest}.{secrets.token_hex(4)}")
            with self.writing(part) as sink:
                sink.write(data)
            part.replace(target)
        return digest

    def opened(self, digest: str) -> bytes | None:
        """The bytes where whoever has the path alone cannot read them; else None."""
        return None if self.sealer is None else b"".join(self.reading(self.place(digest)))
