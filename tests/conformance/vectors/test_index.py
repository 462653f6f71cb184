"""One suite for every index: the embedded child process, a real server, and two servers as shards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from intellirouter.errors import StateUnavailable
from intellirouter.vectors.chroma.embedded import EmbeddedChroma
from intellirouter.vectors.chroma.server import ChromaServer
from intellirouter.vectors.index import MAX_BATCH, VectorIndex, Vectors
from intellirouter.vectors.sharded import ShardedIndex
from tests.servers.chroma import chroma_server


@pytest.fixture(params=["embedded", "server", "sharded"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorIndex]:
    async with contextlib.AsyncExitStack() as stack:
        opened: VectorIndex
        if request.param == "embedded":
            opened = EmbeddedChroma(tmp_path / "chroma")
        elif request.param == "sharded":
            shards = {}
            for name in ("one", "two"):
                url, _ = await stack.enter_async_context(chroma_server(tmp_path / name))
                shards[name] = ChromaServer(url)
            opened = ShardedIndex(shards)
        else:
            url, _ = await stack.enter_async_context(chroma_server(tmp_path))
            opened = ChromaServer(url)
        stack.push_async_callback(opened.close)
        yield opened


def unit(rows: int, seed: int = 0, dimension: int = 8) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


async def test_the_whole_life_of_a_collection(index: VectorIndex) -> None:
    await index.ping()
    vectors = unit(50)
    ids = [f"chunk-{number}" for number in range(50)]
    await index.upsert("first", ids, vectors)
    await index.upsert("first", ids[:10], vectors[:10])  # again: nothing twice
    await index.upsert("other", ["chunk-0"], unit(1, seed=9))
    assert await index.ids("first") == set(ids)

    hits = await index.query("first", vectors[7], 5)
    assert hits[0].id == "chunk-7"
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    best = np.argsort(-(vectors @ vectors[7]))[:5]
    assert [hit.id for hit in hits] == [ids[row] for row in best]
    assert [hit.score for hit in hits] == pytest.approx((vectors @ vectors[7])[best].tolist(), abs=1e-5)

    fetched = await index.fetch("first", ["chunk-3", "chunk-nowhere"])
    assert set(fetched) == {"chunk-3"}
    np.testing.assert_allclose(fetched["chunk-3"], vectors[3], atol=1e-6)

    await index.delete("first", ["chunk-7", "chunk-nowhere"])
    assert "chunk-7" not in {hit.id for hit in await index.query("first", vectors[7], 50)}
    await index.drop("first")
    await index.drop("first")
    assert await index.ids("first") == set()
    assert await index.ids("other") == {"chunk-0"}
    await index.upsert("first", ["again"], unit(1, dimension=4))
    assert await index.ids("first") == {"again"}


async def test_ids_come_whole_from_more_than_a_page(index: VectorIndex) -> None:
    vectors = unit(MAX_BATCH + 50)
    ids = [f"chunk-{number}" for number in range(len(vectors))]
    for start in (0, MAX_BATCH):
        await index.upsert("many", ids[start : start + MAX_BATCH], vectors[start : start + MAX_BATCH])
    assert await index.ids("many") == set(ids)


async def test_a_collection_that_is_not_there_is_empty(index: VectorIndex) -> None:
    assert await index.query("nowhere", unit(1)[0], 3) == []
    assert await index.fetch("nowhere", ["a"]) == {}
    assert await index.ids("nowhere") == set()
    await index.delete("nowhere", ["a"])


async def test_a_second_process_is_refused_and_a_killed_child_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = EmbeddedChroma(tmp_path), EmbeddedChroma(tmp_path)
    try:
        await first.upsert("kept", ["a"], unit(1))
        with pytest.raises(StateUnavailable, match="another process"):
            await second.ping()
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        with contextlib.suppress(StateUnavailable):
            await first.ping()
        assert await first.ids("kept") == {"a"}
    finally:
        await first.close()
        await second.close()


async def test_who_leaves_before_the_answer_takes_nothing_from_the_others(tmp_path: Path) -> None:
    index = EmbeddedChroma(tmp_path)
    try:
        await index.ping()
        first = index.pid
        written = asyncio.create_task(index.upsert("kept", ["a"], unit(1)))
        await asyncio.sleep(0)
        written.cancel()
        leaving = [asyncio.create_task(index.ids("kept")) for _ in range(3)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        ended = await asyncio.gather(written, *leaving, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        assert await index.ids("kept") == {"a"}
        assert index.pid == first
        asking = asyncio.create_task(index.ids("kept"))
        await asyncio.sleep(0)
        asking.cancel()
    finally:
        await index.close()
    assert first is not None
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_a_server_that_is_away_is_unavailable_and_recovers(tmp_path: Path) -> None:
    async with chroma_server(tmp_path) as (url, process):
        index = ChromaServer(url)
        await index.upsert("kept", ["a"], unit(1))
        process.kill()
        await process.wait()
        with pytest.raises(StateUnavailable, match="does not answer"):
            await index.query("kept", unit(1)[0], 1)
    async with chroma_server(tmp_path, int(url.rpartition(":")[2])):
        assert await index.ids("kept") == {"a"}
        await index.close()
