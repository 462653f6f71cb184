"""The process that owns an embedded Chroma: `python -m intellirouter.vectors.chroma.child DIRECTORY`.

Frames on standard input and output: four bytes of length (big-endian), then msgpack. A request is
`[operation, collection, arguments…]`, an answer `[ok, value]`; one at a time, in order. The end of the input ends the
process, so it never outlives its parent. A directory that another process holds is exit code 75 (EX_TEMPFAIL).
"""

from __future__ import annotations

import fcntl
import importlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

LOCKED = 75
LOCK = "LOCK"
LOCK_SECONDS = 10.0
"""How long to wait for a process that is just ending."""
PAGE = 5_000
MOST_OPENED = 1_000


class Store:
    """The operations, by the names of `VectorIndex`."""

    def __init__(self, directory: Path) -> None:
        settings = importlib.import_module("chromadb.config").Settings(anonymized_telemetry=False)
        self._client = importlib.import_module("chromadb").PersistentClient(str(directory), settings=settings)
        self._missing = importlib.import_module("chromadb.errors").NotFoundError
        self._opened: dict[str, Any] = {}
        """Collections looked up before: nobody but this process makes or removes one."""

    def _collection(self, name: str) -> Any:
        found = self._opened.get(name)
        if found is None:
            try:
                found = self._client.get_collection(name, embedding_function=None)
            except self._missing:
                return None
            if len(self._opened) >= MOST_OPENED:
                self._opened.clear()
            self._opened[name] = found
        return found

    def ping(self, _name: str) -> None:
        """Return when Chroma answers."""
        self._client.heartbeat()

    def upsert(self, name: str, ids: list[str], raw: bytes) -> None:
        """Write vectors, replacing those that exist."""
        collection = self._client.get_or_create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        collection.upsert(ids=ids, embeddings=_matrix(raw, len(ids)))

    def delete(self, name: str, ids: list[str]) -> None:
        """Remove what is there of `ids`."""
        if collection := self._collection(name):
            collection.delete(ids=ids)

    def drop(self, name: str) -> None:
        """Remove the collection, if there is one."""
        if self._collection(name):
            self._opened.pop(name, None)
            self._client.delete_collection(name)

    def query(self, name: str, raw: bytes, limit: int) -> tuple[list[str], list[float]]:
        """The nearest, best first."""
        collection = self._collection(name)
        if collection is None:
            return [], []
        found = collection.query(query_embeddings=_matrix(raw, 1), n_results=limit, include=["distances"])
        return found["ids"][0], [1.0 - float(distance) for distance in found["distances"][0]]

    def fetch(self, name: str, ids: list[str]) -> tuple[list[str], bytes]:
        """The vectors of those of `ids` that are there."""
        collection = self._collection(name)
        if collection is None:
            return [], b""
        found = collection.get(ids=ids, include=["embeddings"])
        return found["ids"], np.asarray(found["embeddings"], np.float32).tobytes()

    def ids(self, name: str, offset: int) -> list[str]:
        """Up to `PAGE` ids of the collection, from the one at `offset`."""
        collection = self._collection(name)
        if collection is None:
            return []
        page: list[str] = collection.get(limit=PAGE, offset=offset, include=[])["ids"]
        return page


def _matrix(raw: bytes, rows: int) -> Any:
    return np.frombuffer(raw, np.float32).reshape(rows, -1)


def _lock(directory: Path) -> int | None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    give_up = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < give_up:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return handle
    os.close(handle)
    return None


def main(directory: Path) -> int:
    """Serve until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, signal.SIG_IGN
        )  # who stops a service sends them to all of it: the node says when
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between the frames
    if _lock(directory) is None:
        return LOCKED
    store = Store(directory)
    decoder, encoder = msgspec.msgpack.Decoder(), msgspec.msgpack.Encoder()
    while len(head := source.read(4)) == 4:
        operation, name, *arguments = decoder.decode(source.read(int.from_bytes(head)))
        try:
            answer = encoder.encode((True, getattr(store, operation)(name, *arguments)))
        except Exception as error:  # noqa: BLE001 - whatever Chroma raises is answered, and the process lives on
            answer = encoder.encode((False, f"{type(error).__name__}: {error}"))
        sink.write(len(answer).to_bytes(4) + answer)
        sink.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
