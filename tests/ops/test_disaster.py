"""The drill: fill every store, back up while somebody writes, lose everything, restore, compare every record."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from intellirouter.config.load import Loaded, load
from intellirouter.errors import InvalidRequest
from intellirouter.memory.open import FILE, open_state
from intellirouter.ops.backup import archive, journal
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.restore import restore
from intellirouter.records.query import Query
from intellirouter.records.row import Ids, Row
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.vectors.chroma.embedded import EmbeddedChroma
from intellirouter.vectors.chroma.server import ChromaServer
from intellirouter.vectors.index import VectorIndex
from tests.servers.chroma import chroma_server
from tests.servers.postgres import postgres
from tests.servers.redis import RedisServer, redis_server

COLLECTION = "0f1e2d3c-drill"
CHUNKS = 1_200


def write_config(directory: Path, more: str = "") -> Loaded:
    file = directory / "node.toml"
    file.write_text(f"[paths]\ndata_dir = '{directory / 'data'}'\n{more}")
    return load(file, {})


def fill_files(data: Path) -> None:
    """Personas, documents, a catalogue with one collection, blobs."""
    (data / "rag/blobs").mkdir(parents=True, exist_ok=True)
    for name in ("personas/a.yaml", "documents/deep/b.txt", "rag/blobs/" + "ab" * 32):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(hashlib.sha256(name.encode()).digest() * 500)
    with contextlib.closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db, db:
        db.execute("pragma journal_mode = wal")
        db.execute("create table collections (id text primary key, name text)")
        db.execute("insert into collections values (?, 'drill')", (COLLECTION,))
        db.execute("create table chunks (id text, text text)")
        db.executemany("insert into chunks values (?, ?)", [(f"c{n}", f"text {n}") for n in range(CHUNKS)])


def fill_runs(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("create table runs (id text, outcome blob)")
        db.executemany("insert into runs values (?, ?)", [(f"run{n}", os.urandom(50)) for n in range(500)])


def fill_record(file: Path) -> None:
    with contextlib.closing(SqliteStore(file)) as store:
        ids, now = Ids(), time.time()
        store.write(
            [
                Row(id=ids.next(), ended=now, request_id=f"r{n}", tags=("t",), asked="What is kept?", key="k")
                for n in range(1_000)
            ]
        )


def assert_record(file: Path) -> None:
    """Every row, found by its tag and by its words."""
    with contextlib.closing(SqliteStore(file)) as store:
        for query in (Query(), Query(tag="t"), Query(text="kept")):
            # a page on a busy machine ends short, and says where to look on
            assert sum(map(len, store.rows(query, 1_001))) == 1_000


def rows(file: Path) -> list[Any]:
    """Every row of every table."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        names = [row[0] for row in db.execute("select name from sqlite_master where type='table' order by 1")]
        return [(name, db.execute(f"select * from {name} order by 1").fetchall()) for name in names]


def files(data: Path) -> dict[str, bytes]:
    """Every file of the folders."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for name in ("personas", "documents", "rag/blobs")
        for path in sorted((data / name).rglob("*"))
        if path.is_file()
    }


def vectors() -> tuple[list[str], Any]:
    matrix = np.random.default_rng(7).normal(size=(CHUNKS, 16)).astype(np.float32)
    return [f"c{n}" for n in range(CHUNKS)], matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


async def fill_index(index: VectorIndex) -> None:
    ids, matrix = vectors()
    for start in range(0, CHUNKS, 500):
        await index.upsert(COLLECTION, ids[start : start + 500], matrix[start : start + 500])


async def assert_index(index: VectorIndex) -> None:
    """Every vector, and a search that finds one by itself."""
    ids, matrix = vectors()
    assert await index.ids(COLLECTION) == set(ids)
    found = await index.fetch(COLLECTION, ids)
    np.testing.assert_allclose(np.stack([found[id_] for id_ in ids]), matrix, atol=1e-6)
    assert (await index.query(COLLECTION, matrix[77], 1))[0].id == "c77"


async def fill_state(loaded: Loaded) -> None:
    async with open_state(loaded.settings.memory.unhurried(), loaded.settings.paths.data_dir) as store:
        for start in range(0, 2_000, 100):
            await asyncio.gather(
                *(store.set(f"drill:{n}", str(n).encode()) for n in range(start, start + 100))
            )
        await store.set("drill:short", b"lives an hour", ttl=3600)
        await store.append("drill:log", [str(n).encode() for n in range(300)])
        await store.add("drill:spent", 12.5)


async def assert_state(loaded: Loaded) -> None:
    """Every key, log and counter that was there before the backup began."""
    async with open_state(loaded.settings.memory.unhurried(), loaded.settings.paths.data_dir) as store:
        for start in range(0, 2_000, 100):
            numbers = range(start, start + 100)
            assert await store.get_many([f"drill:{n}" for n in numbers]) == [str(n).encode() for n in numbers]
        assert await store.get("drill:short") == b"lives an hour"
        assert await store.slice("drill:log") == [str(n).encode() for n in range(300)]
        assert await store.level("drill:spent") == 12.5


@contextlib.asynccontextmanager
async def write_load(loaded: Loaded) -> AsyncIterator[None]:
    """Somebody who writes from before the backup until after it."""
    stop, begun = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        number = 0
        async with open_state(loaded.settings.memory.unhurried(), loaded.settings.paths.data_dir) as store:
            while not stop.is_set():
                await asyncio.gather(*(store.set(f"load:{number + n}", b"x" * 200) for n in range(20)))
                number += 20
                begun.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        await begun.wait()
        try:
            yield
        finally:
            stop.set()


async def test_an_embedded_node_comes_back_record_by_record(tmp_path: Path) -> None:
    loaded = write_config(tmp_path)
    data = loaded.settings.paths.data_dir
    fill_files(data)
    fill_runs(data / "chains.db")
    index = EmbeddedChroma(data / "rag/chroma")
    await fill_index(index)
    await index.close()
    await fill_state(loaded)
    fill_record(data / "requests.db")
    before = files(data), rows(data / "chains.db"), rows(data / "rag/catalog.sqlite3")
    async with write_load(loaded):
        target, manifest = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda _: None)
    assert manifest.counts["vectors/vectors"] == CHUNKS
    assert set(manifest.absent) == {"redis"}
    shutil.rmtree(data)
    await asyncio.to_thread(restore, target, loaded.settings)
    assert (files(data), rows(data / "chains.db"), rows(data / "rag/catalog.sqlite3")) == before
    await assert_state(loaded)
    assert_record(data / "requests.db")
    index = EmbeddedChroma(data / "rag/chroma")
    await assert_index(index)
    await index.close()


async def test_a_node_on_servers_comes_back_record_by_record(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis, postgres() as database:
        async with chroma_server(tmp_path / "chroma") as (url, _):
            loaded = write_config(
                tmp_path,
                f"[memory]\ntimeout = 60\nbackend_type = 'redis'\nredis_url = '{redis.url}'\n[rag]\nvector_db_url = '{url}'\n"
                f"[chain_engine]\ndatabase_url = '{database}'\n",
            )
            data = loaded.settings.paths.data_dir
            fill_files(data)
            index = ChromaServer(url)
            await fill_index(index)
            await fill_state(loaded)
            redis.command("SET", "somebody:else", "stays")
            with psycopg.connect(database) as db:
                db.execute("create table runs (id int primary key, outcome bytea)")
                db.execute("insert into runs select n, sha256(n::text::bytea) from generate_series(1, 500) n")
                runs = db.execute("select * from runs order by 1").fetchall()
            before = files(data), rows(data / "rag/catalog.sqlite3")
            async with write_load(loaded):
                target, manifest = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda _: None)
            assert manifest.counts["redis/keys"] >= 2_003

            redis.command("FLUSHALL")
            redis.command("SET", "somebody:else", "stays")
            await index.drop(COLLECTION)
            with psycopg.connect(database) as db:
                db.execute("drop table runs")
            shutil.rmtree(data)
            await asyncio.to_thread(restore, target, loaded.settings)
            # what other nodes may use is left alone unless it is named; the vectors of a node of its own are its own
            assert redis.command("KEYS", "intellirouter:*").split() == [b"*0"]
            with psycopg.connect(database) as db:
                assert db.execute("select to_regclass('runs')").fetchone() == (None,)
            servers = partial(restore, also=["redis", "chains"])
            await asyncio.to_thread(servers, target, loaded.settings)

            assert (files(data), rows(data / "rag/catalog.sqlite3")) == before
            await assert_state(loaded)
            await assert_index(index)
            await index.close()
            with psycopg.connect(database) as db:
                assert db.execute("select * from runs order by 1").fetchall() == runs
            assert b"stays" in redis.command("GET", "somebody:else")
            embedded = write_config(tmp_path)
            with pytest.raises(InvalidRequest, match="another kind of the store 'redis'"):
                restore(target, embedded.settings)


async def test_an_index_that_a_running_node_holds_comes_from_a_copy(tmp_path: Path) -> None:
    loaded = write_config(tmp_path)
    data = loaded.settings.paths.data_dir
    fill_files(data)
    index = EmbeddedChroma(data / "rag/chroma")
    await fill_index(index)
    ids, matrix = vectors()
    rounds = 0

    async def write_on() -> None:
        """What was there stays as it is; beside it another collection grows and goes."""
        nonlocal rounds
        while True:
            rounds += 1
            await index.upsert(COLLECTION, ids[:200], matrix[:200])
            await index.upsert("other-drill", [f"o{rounds}-{n}" for n in range(200)], matrix[:200])
            if rounds % 10 == 0:
                await index.drop("other-drill")

    writing = asyncio.create_task(write_on())
    try:
        target, manifest = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda _: None)
        assert await index.ids(COLLECTION) == set(ids)  # the node goes on
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await index.close()
    assert "vectors" not in manifest.absent
    assert manifest.counts["vectors/vectors"] == CHUNKS
    assert not list(data.glob("*/chroma"))[1:]
    shutil.rmtree(data)
    await asyncio.to_thread(restore, target, loaded.settings)
    index = EmbeddedChroma(data / "rag/chroma")
    try:
        await assert_index(index)
    finally:
        await index.close()


async def test_an_index_that_cannot_be_copied_stays_out_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = write_config(tmp_path)
    data = loaded.settings.paths.data_dir
    fill_files(data)
    index = EmbeddedChroma(data / "rag/chroma")
    await fill_index(index)
    monkeypatch.setattr("intellirouter.vectors.chroma.snapshot.TRIES", 0)
    try:
        _, manifest = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda _: None)
    finally:
        await index.close()
    assert "rag rebuild" in manifest.absent["vectors"]


def run_and_kill(words: list[str], seconds: float) -> int:
    """Start a command and kill it after so long; its exit code, negative when it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "intellirouter", *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait(30)


KILLS = int(os.environ.get("IR_KILLS", "3"))


async def test_a_killed_backup_or_restore_damages_nothing(tmp_path: Path) -> None:
    loaded = write_config(tmp_path)
    data, backups = loaded.settings.paths.data_dir, tmp_path / "backups"
    fill_files(data)
    (data / "documents/large").write_bytes(os.urandom(10 << 20))
    fill_runs(data / "chains.db")
    await fill_state(loaded)
    first, _ = await asyncio.to_thread(make, loaded, tmp_path / "first", lambda _: None)
    old = files(data), rows(data / "chains.db")
    # what stands when a restore begins differs from what the archive holds
    (data / "documents/deep/b.txt").write_text("newer")
    new = files(data), rows(data / "chains.db")
    config = ["--config", str(tmp_path / "node.toml")]
    begun = time.monotonic()
    assert run_and_kill(["backup", "--to", str(backups), *config], 60) == 0
    whole = time.monotonic() - begun
    chance = random.Random(os.urandom(8))
    for _ in range(KILLS):
        run_and_kill(["backup", "--to", str(backups), *config], chance.uniform(whole * 0.3, whole))
        for finished in backups.glob(f"*{archive.SUFFIX}"):
            archive.read(finished)
        assert (files(data), rows(data / "chains.db")) == new
    restored = 0
    for _ in range(KILLS):
        code = run_and_kill(["restore", str(first), *config], chance.uniform(whole * 0.3, whole * 1.5))
        journal.repair(data)
        stands = files(data), rows(data / "chains.db")
        assert stands in (old, new), code
        restored += stands == old
        await assert_state(loaded)
        (data / "documents/deep/b.txt").write_text("newer")
    assert run_and_kill(["restore", str(first), *config], 60) == 0
    assert (files(data), rows(data / "chains.db")) == old
    assert not list(data.glob(".restore-*"))
    assert not list(data.glob(".backup-*"))


def newer(redis: RedisServer, database: str, data: Path) -> None:
    """What stands when a restore begins differs from what the archive holds."""
    redis.command("HSET", "intellirouter:v:drill:0", "v", "newer")
    with psycopg.connect(database) as db:
        db.execute("update runs set outcome = 'newer' where id = 1")
    (data / "documents/deep/b.txt").write_text("newer")


def stands(redis: RedisServer, database: str, data: Path) -> set[str]:
    """Of each store, whether it is `newer` or what the archive holds."""
    with psycopg.connect(database) as db:
        row = db.execute("select outcome from runs where id = 1").fetchone()
    held = (
        redis.command("HGET", "intellirouter:v:drill:0", "v"),
        bytes(row[0]) if row else b"",
        (data / "documents/deep/b.txt").read_bytes(),
    )
    return {"newer" if b"newer" in one else "old" for one in held}


async def test_a_restore_onto_servers_that_is_killed_lets_no_node_start_on_half_of_it(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis, postgres() as database:
        async with chroma_server(tmp_path / "chroma") as (url, _):
            loaded = write_config(
                tmp_path,
                f"[memory]\ntimeout = 60\nbackend_type = 'redis'\nredis_url = '{redis.url}'\n[rag]\nvector_db_url = '{url}'\n"
                f"[chain_engine]\ndatabase_url = '{database}'\n",
            )
            data = loaded.settings.paths.data_dir
            fill_files(data)
            index = ChromaServer(url)
            await fill_index(index)
            await fill_state(loaded)
            with psycopg.connect(database) as db:
                db.execute("create table runs (id int primary key, outcome bytea)")
                db.execute("insert into runs select n, sha256(n::text::bytea) from generate_series(1, 500) n")
            target, _ = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda _: None)
            config = ["--config", str(tmp_path / "node.toml"), "--also", "redis", "--also", "chains"]
            newer(redis, database, data)
            begun = time.monotonic()
            assert await asyncio.to_thread(run_and_kill, ["restore", str(target), *config], 60) == 0
            whole = time.monotonic() - begun
            assert stands(redis, database, data) == {"old"}
            chance = random.Random(os.urandom(8))
            for _ in range(KILLS):
                newer(redis, database, data)
                after = chance.uniform(whole * 0.4, whole)
                await asyncio.to_thread(run_and_kill, ["restore", str(target), *config], after)
                try:
                    journal.repair(data)
                except journal.RestoreUnfinished as said:
                    assert "run `intellirouter restore` again" in said.message
                    words = [
                        "restore",
                        str(target),
                        *config[:2],
                    ]  # what was half replaced needs no second naming
                    assert await asyncio.to_thread(run_and_kill, words, 60) == 0
                    journal.repair(data)
                    assert stands(redis, database, data) == {"old"}
                assert len(stands(redis, database, data)) == 1
            newer(redis, database, data)
            assert await asyncio.to_thread(run_and_kill, ["restore", str(target), *config], 60) == 0
            assert stands(redis, database, data) == {"old"}
            await assert_state(loaded)
            await assert_index(index)
            await index.close()


async def filled(directory: Path) -> tuple[Loaded, Path]:
    loaded = write_config(directory)
    fill_files(loaded.settings.paths.data_dir)
    fill_runs(loaded.settings.paths.data_dir / "chains.db")
    await fill_state(loaded)
    target, _ = await asyncio.to_thread(make, loaded, directory / "backups", lambda _: None)
    return loaded, target


@pytest.mark.parametrize("at", range(12))
async def test_a_restore_killed_before_any_move_is_undone_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    loaded, target = await filled(tmp_path)
    data = loaded.settings.paths.data_dir
    (data / "documents/deep/b.txt").write_text("newer")
    before = files(data), rows(data / "chains.db"), rows(data / FILE)
    moved = 0
    real = shutil.move

    class Killed(BaseException):
        """The process ends here: nothing of ours runs after it."""

    def move(old: Path, new: Path) -> object:
        nonlocal moved
        if moved == at:
            raise Killed
        moved += 1
        return real(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", move)
        with contextlib.suppress(Killed):
            await asyncio.to_thread(restore, target, loaded.settings)
    journal.repair(data)
    if moved == at:
        assert (files(data), rows(data / "chains.db"), rows(data / FILE)) == before
    else:
        assert (data / "documents/deep/b.txt").read_bytes() != b"newer"
    assert not list(data.glob(".restore-*"))


@pytest.mark.timeout(700)
def test_a_large_store_is_backed_up_in_bounded_memory() -> None:
    script = Path(__file__).parents[2] / "scripts/backup_scale.py"
    done = subprocess.run(
        [sys.executable, script, "0.25"], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
