"""Documents embedded by a model behind the Router; the model itself is a vendor's, and stood in for."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import ConfigError, Conflict, InvalidRequest, PeerUnavailable, StateUnavailable
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.embedding.provider import BATCH, ProviderEmbedder
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.security.caller import Caller
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.minilm import minilm
from tests.servers.vendor import Play, Received

MODEL = "vendor/letters"


class Letters:
    """Counts letters: not unit vectors, as many vendors' are not. Raises what `fails` says first."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = list(fails)
        self.sizes: list[int] = []

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        assert request.model == MODEL
        if self.fails:
            raise self.fails.pop()
        self.sizes.append(len(request.texts))
        rows = [
            tuple(float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz.")
            for text in request.texts
        ]
        return EmbeddingResponse(model=MODEL, vectors=tuple(rows))

    async def complete(self, *_: Any) -> Any:
        raise AssertionError

    def stream(self, *_: Any) -> Any:
        raise AssertionError

    async def caller_of(self, *_: Any) -> Any:
        raise AssertionError


async def test_in_batches_and_of_unit_length() -> None:
    chat = Letters()
    vectors = await ProviderEmbedder(chat, MODEL, 512).embed(["abc."] * (BATCH + 3))
    assert chat.sizes == [BATCH, 3]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)


class Ragged(Letters):
    """Each vector is longer than the one before."""

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        rows = tuple((1.0,) * (number + 1) for number in range(len(request.texts)))
        return EmbeddingResponse(model=MODEL, vectors=rows)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(PeerUnavailable("away"), StateUnavailable), (InvalidRequest("no such model"), InvalidRequest)],
)
async def test_what_may_pass_is_told_from_what_will_not(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected, match=str(raised)):
        await ProviderEmbedder(Letters(raised), MODEL, 512).embed(["a"])
    with pytest.raises(StateUnavailable, match="something else"):
        await ProviderEmbedder(Letters(), MODEL, 512).embed(["0"])  # no direction
    with pytest.raises(StateUnavailable, match="something else"):
        await ProviderEmbedder(Ragged(), MODEL, 512).embed(["a", "b"])


async def test_a_collection_of_a_providers_model(tmp_path: Path) -> None:
    section = RagSection(embedding_model=MODEL)
    async with open_rag(section, tmp_path, chat=Letters(PeerUnavailable("away"))) as service:
        await service.create("a", "docs")
        for name, text in (("z", "zzz zzz."), ("q", "qqq qqq.")):
            async with asyncio.timeout(60):  # the first try finds nobody; the job waits and goes on
                job = await service.submit("a", "docs", f"{name}.txt", text.encode())
                assert (await service.ended("a", job))["status"] == "ready"
        found = await service.retrieve(RetrievalRequest("zz", ("docs",), 1), Call(Caller(tenant="a"), "r"))
        assert found.passages[0].text == "zzz zzz."
    async with open_rag(section, tmp_path) as service:
        with pytest.raises(ConfigError, match="through the Router"):
            await service.prepare()


async def test_reindex_brings_a_collection_to_the_node_s_model(tmp_path: Path) -> None:
    call = Call(Caller(tenant="a"), "r")
    wanted = RetrievalRequest("zz", ("docs",), 1)
    async with open_rag(RagSection(embedding_model_path=minilm(), embedding_threads=1), tmp_path) as service:
        await service.create("a", "docs")
        for name in ("z", "q"):
            job = await service.submit("a", "docs", f"{name}.txt", f"{name * 3} {name * 3}.".encode())
            async with asyncio.timeout(60):
                assert (await service.ended("a", job))["status"] == "ready"
    async with open_rag(RagSection(embedding_model=MODEL), tmp_path, chat=Letters()) as service:
        with pytest.raises(Conflict, match="rag reindex docs"):
            await service.retrieve(wanted, call)
        jobs = await service.reindex("a", "docs")
        assert len(jobs) == 2
        for job in jobs:
            async with asyncio.timeout(60):
                assert (await service.ended("a", job))["status"] == "ready"
        assert (await service.collections("a"))[0]["model"] == MODEL
        assert await service.verify("a", "docs") == ([], [])
        (found,) = (await service.retrieve(wanted, call)).passages
        assert found.text == "zzz zzz."
        assert found.dense_score is not None


def letters(received: Received) -> Play:
    """An embeddings endpoint that counts letters."""
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": [float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz."],
        }
        for index, text in enumerate(received.json["input"])
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return Play.json({"object": "list", "model": "m", "data": rows, "usage": usage})


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "two nodes"])
async def test_a_running_node_embeds_through_its_router(
    apart: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(letters)
    rag = '[rag]\nembedding_model = "primary/m"\n'
    if apart:
        trust = '[ipc.security]\nenabled = true\ntoken = "a-token-of-more-than-32-characters-for-nodes"\n'
        keys = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "ann"\nsha256 = "{hashlib.sha256(b"ann").hexdigest()}"\n'
        router = await start_node(trust + keys + provider(vendor))
        endpoint = f'[ipc]\nrouter_endpoint = "{router.listening[0].url}"\n'
        node = await start_node(rag + trust + keys + endpoint, role="RagManager")
        http.headers["authorization"] = "Bearer ann"
    else:
        node = await start_node(rag + provider(vendor), role="All")
    url = next(each.url for each in node.listening if each.role == "RagManager")
    async with http.post(f"{url}/rag/v1/collections", json={"name": "docs"}) as reply:
        assert reply.status == 201
    for name in ("z", "q"):
        async with http.post(
            f"{url}/rag/v1/collections/docs/documents?name={name}.txt", data=f"{name * 3} {name * 3}."
        ) as reply:
            job = (await reply.json())["job"]
        async with asyncio.timeout(60), http.get(f"{url}/rag/v1/jobs/{job}/events") as events:
            await events.read()  # until it is over
    async with http.post(f"{url}/rag/v1/retrieve", json={"query": "zz", "collections": ["docs"]}) as reply:
        found = await reply.json()
    assert found["passages"][0]["text"] == "zzz zzz."
    assert vendor.received[-1].path == "/v1/embeddings"
