"""Embedding shared between nodes: the same vectors, whoever is slow, fails or is not there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.errors import Conflict, PeerUnavailable, StateUnavailable
from intellirouter.roles.rag_manager.embedding.shared import SLICE, SharedEmbedder
from intellirouter.vectors.index import Vectors
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.minilm import minilm
from tests.servers.vendor import Play

TEXTS = [f"{'word ' * (n % 17)}{n}" for n in range(SLICE * 9 + 5)]


def vectors_of(texts: Sequence[str]) -> Vectors:
    """One unit vector a text, that no other text has."""
    angles = np.array([int(text.rpartition(" ")[2]) for text in texts], np.float64) / 1000
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


class Own:
    """This node."""

    model, max_tokens = "m", 10

    def __init__(self) -> None:
        self.asked = 0

    def count(self, texts: Sequence[str]) -> list[int]:
        return [1 for _ in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += len(texts)
        await asyncio.sleep(0)
        return vectors_of(texts)


class Other:
    """A helper that does what its plan says, slice by slice: embeds, fails, or never answers."""

    def __init__(self, name: str, plan: Sequence[str]) -> None:
        self.name = name
        self.plan = list(plan)
        self.asked = 0

    async def embed(self, model: str, texts: Sequence[str]) -> Vectors:
        assert model == "m"
        step = self.plan.pop(0) if self.plan else "embed"
        if step == "away":
            raise PeerUnavailable("away")
        if step == "other model":
            raise Conflict("another model")
        if step == "hang":
            await asyncio.Event().wait()
        self.asked += len(texts)
        await asyncio.sleep(0)
        return vectors_of(texts)


STEPS = st.sampled_from(["embed", "away", "other model", "hang"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(STEPS, max_size=6), max_size=4), st.integers(0, len(TEXTS)))
def test_whatever_helpers_do_the_vectors_are_the_same(plans: list[list[str]], count: int) -> None:
    async def run() -> None:
        helpers = [Other(str(number), plan) for number, plan in enumerate(plans)]
        embedder = SharedEmbedder(Own(), helpers)
        for _ in range(2):
            async with asyncio.timeout(60):
                made = await embedder.embed(TEXTS[:count]) if count else vectors_of([])
            assert np.array_equal(made, vectors_of(TEXTS[:count]) if count else made)

    asyncio.run(run())


async def test_the_work_is_shared_and_a_query_is_not() -> None:
    own, helper = Own(), Other("h", [])
    embedder = SharedEmbedder(own, [helper])
    await embedder.embed(TEXTS[:SLICE])
    assert (own.asked, helper.asked) == (SLICE, 0)
    await embedder.embed(TEXTS)
    assert helper.asked > len(TEXTS) / 4
    assert own.asked < len(TEXTS)


async def test_a_helper_that_fails_rests() -> None:
    helper = Other("h", ["away"])
    embedder = SharedEmbedder(Own(), [helper])
    for _ in range(3):
        await embedder.embed(TEXTS)
    assert helper.plan == []
    assert helper.asked == 0


async def test_what_fails_here_fails() -> None:
    class Broken(Own):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            raise StateUnavailable("no model")

    with pytest.raises(StateUnavailable, match="no model"):
        await SharedEmbedder(Broken(), [Other("h", ["hang"])]).embed(TEXTS)


async def test_nodes_embed_for_one_another(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    local = f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n'
    security = (
        '[ipc.security]\nenabled = true\ntoken = "a-token-of-more-than-32-characters-for-nodes"\n'
        f'[auth]\nenabled = true\n[[auth.keys]]\nname = "ann"\nsha256 = "{hashlib.sha256(b"ann").hexdigest()}"\n'
    )
    text = "\n\n".join(f"# Part {n}\n\nNote {n} is about the number {n}." for n in range(400))
    vendor = await start_vendor(Play.json({}))

    async def started(*more: str) -> str:
        node = await start_node(security + "".join(more), role="RagManager")
        return node.listening[0].url

    helpers = [await started(local), await started(local)]
    other = await started('[rag]\nembedding_model = "primary/m"\n', provider(vendor))
    named = [*helpers, other, "http://127.0.0.1:9"]
    alone, helped = await started(local), await started(local, f"helpers = {named}\n")

    async def ingested(url: str) -> Any:
        signed = {"authorization": "Bearer ann"}
        async with http.post(f"{url}/rag/v1/collections", json={"name": "docs"}, headers=signed) as reply:
            assert reply.status == 201, await reply.text()
        where = f"{url}/rag/v1/collections/docs/documents?name=notes.md"
        async with http.post(where, data=text, headers=signed) as reply:
            job = (await reply.json())["job"]
        async with (
            asyncio.timeout(120),
            http.get(f"{url}/rag/v1/jobs/{job}/events", headers=signed) as events,
        ):
            assert '"status":"ready"' in await events.text()
        question = {"query": "the number 77", "collections": ["docs"], "top_k": 10}
        async with http.post(f"{url}/rag/v1/retrieve", json=question, headers=signed) as reply:
            return [passage["text"] for passage in (await reply.json())["passages"]]

    assert await ingested(helped) == await ingested(alone)
    for url in helpers:
        async with http.get(f"{url}/metrics") as reply:
            counted = [line for line in (await reply.text()).splitlines() if 'endpoint="rag_embed"' in line]
        assert any('status="200"' in line for line in counted), counted
