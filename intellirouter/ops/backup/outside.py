"""The stores that are servers, or are held by one: Redis, the vector index, Postgres. Each to one file, and back.

The files of Redis and of the vectors are frames: four bytes of length (big-endian), then msgpack.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import re
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from intellirouter.chains.runtime.durable.rows import COLUMN, READER, refusal
from intellirouter.config import env
from intellirouter.config.schema.memory import MemorySection
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import StateError, StateUnavailable
from intellirouter.memory.since import Since
from intellirouter.vectors.index import VectorIndex
from intellirouter.vectors.sharded import ShardedIndex

PAGE = 1_000
ASKED, SAME = 5, 0.999
"""Vectors of a collection that are looked for after a restore, and the cosine of one that is the same."""
FRAME_BYTES = 1 << 30
"""Of one record, which is held in memory: more than a server takes."""
PG_SECONDS = 6 * 3600.0
"""How long a dump of Postgres may take."""


def frames(file: Path) -> Iterator[Any]:
    """The frames of a file, one at a time."""
    with file.open("rb") as stream:
        while head := stream.read(4):
            if (length := int.from_bytes(head)) > FRAME_BYTES:
                raise StateError(f"{file.name}: a record of {length} bytes is none of ours.")
            yield msgspec.msgpack.decode(stream.read(length))


async def _write(file: Path, records: AsyncIterator[Any]) -> int:
    count = 0
    with file.open("wb") as stream:
        async for record in records:
            data = msgspec.msgpack.encode(record)
            stream.write(len(data).to_bytes(4) + data)
            count += 1
    return count


def redis_to(file: Path, section: MemorySection) -> int:
    """Our keys of Redis; how many."""
    # redis takes 100 ms to import, and an embedded node never needs it
    module = importlib.import_module("intellirouter.memory.redis.dump")
    return asyncio.run(_write(file, module.dump(section)))


def redis_from(file: Path, section: MemorySection, since: Since) -> int:
    """Replace our keys of Redis, but for what is younger; how many the file holds."""
    module = importlib.import_module("intellirouter.memory.redis.dump")
    count: int = asyncio.run(module.replace(section, frames(file), since))
    return count


def collections(catalog: Path) -> list[str]:
    """The ids of the collections of a catalogue, under which the index keeps their vectors."""
    connection = sqlite3.connect(catalog)
    try:
        return [row[0] for row in connection.execute("select id from collections order by id")]
    finally:
        connection.close()


def index_urls(section: RagSection) -> list[str]:
    """The servers of the vector index; none means the embedded one."""
    if section.vector_db_url is None:
        return []
    return list(dict.fromkeys(url.rstrip("/") for url in (section.vector_db_url, *section.vector_db_shards)))


def _index(urls: Sequence[str], directory: Path, copies: int = 1) -> VectorIndex:
    if urls:
        module = importlib.import_module("intellirouter.vectors.chroma.server")
        shards: dict[str, VectorIndex] = {url: module.ChromaServer(url) for url in urls}
        return ShardedIndex(shards, copies) if len(shards) > 1 else next(iter(shards.values()))
    embedded: VectorIndex = importlib.import_module("intellirouter.vectors.chroma.embedded").EmbeddedChroma(
        directory
    )
    return embedded


def vectors_to(file: Path, names: list[str], urls: Sequence[str], directory: Path) -> int:
    """The vectors of the named collections; how many. Raises `StateUnavailable` when a running node holds them."""

    async def pages(index: VectorIndex) -> AsyncIterator[tuple[str, list[str], int, bytes]]:
        for name in names:
            ids = sorted(await index.ids(name))
            for start in range(0, len(ids), PAGE):
                found = await index.fetch(name, ids[start : start + PAGE])
                if found:
                    matrix = np.stack(list(found.values()))
                    yield name, list(found), matrix.shape[1], matrix.astype(np.float32).tobytes()

    async def run() -> int:
        index, count = _index(urls, directory), 0

        async def counted() -> AsyncIterator[Any]:
            nonlocal count
            async for page in pages(index):
                count += len(page[1])
                yield page

        try:
            await index.ping()
            await _write(file, counted())
        finally:
            await index.close()
        return count

    return asyncio.run(run())


async def _finds_one(index: VectorIndex, name: str, given: Sequence[tuple[str, NDArray[np.float32]]]) -> bool:
    """Whether some vector's own query finds it: an index is approximate, and a text that stands twice has its vector twice."""
    for id_, vector in given:
        if any(hit.id == id_ or hit.score > SAME for hit in await index.query(name, vector, ASKED)):
            return True
    return False


def vectors_from(file: Path, names: list[str], urls: Sequence[str], directory: Path, copies: int = 1) -> int:
    """Make the named collections hold the vectors of a file, and ask each for one of its own; how many there are.

    Raises `StateError` when the index does not find what it was given.
    """

    async def run() -> int:
        index, count = _index(urls, directory, copies), 0
        samples: dict[str, list[tuple[str, NDArray[np.float32]]]] = {}
        try:
            for name in names:
                await index.drop(name)
            for name, ids, dimension, raw in frames(file):
                matrix = np.frombuffer(raw, np.float32).reshape(-1, dimension)
                await index.upsert(name, ids, matrix)
                count += len(ids)
                samples.setdefault(name, []).append((ids[-1], matrix[-1]))
            for name, given in samples.items():
                if not await _finds_one(index, name, given[:ASKED]):
                    raise StateError(f"the vector index finds nothing of what it was given in {name}.")
        finally:
            await index.close()
        return count

    return asyncio.run(run())


def postgres_to(file: Path, url: str) -> None:
    """The run database in pg_dump's own form: one snapshot, however long it takes."""
    # not compressed: a backup compresses, and an incremental one needs to see what did not change
    _postgres("pg_dump", url, "--format=custom", "--compress=0", f"--file={file}")


def check_postgres_rows(file: Path) -> None:
    """Raises `StrangeRows` for a dump with rows that another reader than ours would read. Nothing is held of it but a line."""
    with subprocess.Popen(  # noqa: S603  our own words, no shell
        ["pg_restore", "--data-only", "--file=-", str(file)],  # noqa: S607  where the system has it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env.for_child(),
    ) as reader:
        try:
            for table, kind in _readers(reader.stdout or io.BytesIO()):
                raise refusal(table, kind, 1)
            said = reader.stderr.read() if reader.stderr is not None else b""
        finally:
            reader.kill()
    if reader.returncode not in (0, -signal.SIGKILL):
        raise StateError(f"pg_restore: {said.decode(errors='replace').strip()[-500:]}")


_COPY = re.compile(rb"COPY (\S+) \((.*)\) FROM stdin;\n")


def _readers(script: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Of a dump as SQL: the table and the reader of each row that names a strange one."""
    column, table = -1, ""
    for line in script:
        if column < 0:
            if begin := _COPY.fullmatch(line):
                names = [name.strip().strip(b'"') for name in begin[2].split(b",")]
                column = names.index(COLUMN.encode()) if COLUMN.encode() in names else -1
                table = begin[1].decode(errors="replace")
        elif line == b"\\.\n":
            column = -1
        else:
            kind = line.rstrip(b"\n").split(b"\t")[column]
            if kind not in (b"\\N", READER.encode()):
                yield table, kind.decode(errors="replace")


def postgres_from(file: Path, url: str) -> None:
    """Replace what the dump holds, in one transaction: all or nothing."""
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
    _postgres("pg_restore", url, *options, str(file))


def _postgres(program: str, url: str, *options: str) -> None:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = parts._replace(
        scheme="postgresql", netloc=f"{parts.username}@{host}" if parts.username else host
    ).geturl()
    # the password goes by the environment: an argument can be read by every process
    password = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    environment = {**env.for_child(prefix="PG"), **password}
    try:
        done = subprocess.run(  # noqa: S603  our own words, no shell
            [program, "--no-password", f"--dbname={bare}", *options],
            capture_output=True,
            text=True,
            timeout=PG_SECONDS,
            env=environment,
            check=False,
        )
    except FileNotFoundError as cause:
        raise StateError(f"{program} is not installed: apt-get install postgresql-client") from cause
    except subprocess.TimeoutExpired as cause:
        raise StateUnavailable(f"{program} did not end within {PG_SECONDS / 3600:g} hours") from cause
    if done.returncode != 0:
        raise StateError(f"{program}: {done.stderr.strip()[-500:]}")
