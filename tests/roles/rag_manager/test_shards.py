"""Two Chroma servers as two shards: the same answers as from one, and a policy for when one is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import ConfigError, StateUnavailable
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.security.caller import Caller
from intellirouter.vectors.chroma.embedded import EmbeddedChroma
from intellirouter.vectors.chroma.server import ChromaServer
from intellirouter.vectors.sharded import ShardedIndex
from tests.servers.chroma import chroma_server
from tests.servers.minilm import minilm

CALL = Call(Caller(tenant="a"), "r")
TOPICS = ["rain", "trains", "bread", "whales", "violins", "taxes", "volcanoes", "chess", "rockets", "bees"]
TEXT = "\n\n".join(f"# {topic} {n}\n\nNote {n} is about {topic}." for topic in TOPICS for n in range(20))


def section(*urls: str, **more: Any) -> RagSection:
    return RagSection(
        vector_db_url=urls[0] if urls else None,
        vector_db_shards=urls[1:],
        embedding_model_path=minilm(),
        embedding_threads=1,
        **more,
    )


async def test_two_shards_find_what_one_index_finds(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"chunk-{number}" for number in range(len(vectors))]
    async with chroma_server(tmp_path / "1") as (first, _), chroma_server(tmp_path / "2") as (second, _):
        shards = {url: ChromaServer(url) for url in (first, second)}
        two, one = ShardedIndex(shards), EmbeddedChroma(tmp_path / "3")
        try:
            for index in (two, one):
                await index.upsert("all", ids, vectors)
            held = [len(await shard.ids("all")) for shard in shards.values()]
            assert sum(held) == len(ids)
            assert min(held) > len(ids) / 3
            for query in vectors[::10] + random.normal(size=(50, 16)).astype(np.float32) / 20:
                expected = [hit.id for hit in await one.query("all", query, 10)]
                assert [hit.id for hit in await two.query("all", query, 10)] == expected
        finally:
            await two.close()
            await one.close()


async def test_a_shard_away_is_an_error_or_a_partial_answer(tmp_path: Path) -> None:
    wanted = RetrievalRequest("locomotives on rails", ("docs",), 10)
    async with chroma_server(tmp_path / "1") as (first, _), chroma_server(tmp_path / "2") as (second, gone):
        async with open_rag(section(first, second), tmp_path) as service:
            await service.create("a", "docs")
            async with asyncio.timeout(60):
                job = await service.submit("a", "docs", "notes.md", TEXT.encode())
                assert (await service.ended("a", job))["status"] == "ready"
            assert await service.verify("a", "docs") == ([], [])
            whole = await service.retrieve(wanted, CALL)
            assert not whole.partial
            gone.kill()
            await gone.wait()
            assert (await service.retrieve(wanted, CALL)) is whole  # kept; another question has to ask
            with pytest.raises(StateUnavailable, match=f"1 of the vector shards .* {second}"):
                await service.retrieve(RetrievalRequest("loaves", ("docs",)), CALL)
        async with open_rag(section(first, second, on_shard_error="partial"), tmp_path) as service:
            some = await service.retrieve(wanted, CALL)
            assert some.partial
            assert some.passages


async def test_with_a_second_copy_one_shard_may_be_away(tmp_path: Path) -> None:
    async with (
        chroma_server(tmp_path / "1") as (first, _),
        chroma_server(tmp_path / "2") as (second, gone),
        chroma_server(tmp_path / "3") as (third, last),
    ):
        async with open_rag(section(first, second, third, vector_copies=2), tmp_path) as service:
            await service.create("a", "docs")
            async with asyncio.timeout(60):
                job = await service.submit("a", "docs", "notes.md", TEXT.encode())
                assert (await service.ended("a", job))["status"] == "ready"
            asked = [RetrievalRequest(f"about {topic}", ("docs",), 10, explain=True) for topic in TOPICS]
            whole = [await service.retrieve(request, CALL) for request in asked]
            gone.kill()
            await gone.wait()
            for request, before in zip(asked, whole, strict=True):
                after = await service.retrieve(request, CALL)
                assert not after.partial
                assert [one.id for one in after.passages] == [one.id for one in before.passages]
            with pytest.raises(StateUnavailable, match="1 of the vector shards"):
                await service.verify("a", "docs")  # nobody can tell what lies there
            last.kill()
            await last.wait()
            with pytest.raises(StateUnavailable, match="2 of the vector shards"):
                await service.retrieve(RetrievalRequest("loaves", ("docs",)), CALL)
        with pytest.raises(ConfigError, match="copies need as many servers"):
            async with open_rag(section(first, second, vector_copies=3), tmp_path):
                pass


async def test_a_rebuild_makes_the_second_copy_of_what_was_there(tmp_path: Path) -> None:
    async with chroma_server(tmp_path / "1") as (first, _), chroma_server(tmp_path / "2") as (second, gone):
        async with open_rag(section(first, second), tmp_path) as service:
            await service.create("a", "docs")
            async with asyncio.timeout(60):
                await service.ended("a", await service.submit("a", "docs", "notes.md", TEXT.encode()))
            chunks = (await service.collections("a"))[0]["chunks"]
        async with open_rag(section(first, second, vector_copies=2), tmp_path) as service:
            missing, stray = await service.verify("a", "docs")
            assert (len(missing), stray) == (chunks, [])
            assert await service.rebuild("a", "docs") == chunks
            assert await service.verify("a", "docs") == ([], [])
            gone.kill()
            await gone.wait()
            found = await service.retrieve(RetrievalRequest("loaves", ("docs",)), CALL)
            assert found.passages
            assert not found.partial


async def test_shards_without_a_first_server_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="first server goes into"):
        async with open_rag(
            RagSection(vector_db_shards=("http://127.0.0.1:9",), embedding_model_path=minilm()), tmp_path
        ):
            pass
