"""A cross-encoder on the node itself: real onnxruntime, a model small enough to be made here."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import ConfigError, PeerUnavailable
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.reranking_onnx import OnnxReranker
from intellirouter.security.caller import ANONYMOUS, Caller
from tests.servers.cross_encoder import cross_encoder
from tests.servers.minilm import minilm

CALL = Call(Caller(tenant="a"), "r")


def fit(shared: int) -> float:
    return 1 / (1 + math.exp(0.5 - shared))


@pytest.mark.parametrize("logits", [1, 2])
async def test_query_and_text_are_judged_together(logits: int, tmp_path: Path) -> None:
    reranker = OnnxReranker(cross_encoder(tmp_path, logits=logits), 1, 30)
    texts = [
        "Cats sleep all day",
        "An engine burns petrol",
        "",
        *(f"day {'x ' * n}cats" for n in range(40)),
        "sleep " * 3000,  # cut, and still judged
    ]
    scores = await reranker.scores("", "why cats sleep", texts, ANONYMOUS)
    expected = [fit(2), fit(0), fit(0), *[fit(1)] * 40]
    assert scores[:-1] == pytest.approx(expected, abs=1e-6)
    assert scores[-1] == pytest.approx(1)
    both = await asyncio.gather(*(reranker.scores("", "petrol", texts[:2], ANONYMOUS) for _ in range(4)))
    assert all(one == pytest.approx([fit(0), fit(1)]) for one in both)
    long_query = "petrol " * 5000
    assert (await reranker.scores("", long_query, texts[:2], ANONYMOUS))[1] > 0.9


async def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    reranker = OnnxReranker(cross_encoder(tmp_path), 1, 1e-9)
    with pytest.raises(PeerUnavailable, match="took longer"):
        await reranker.scores("", "cats", ["cats"] * 20, ANONYMOUS)
    with pytest.raises(PeerUnavailable, match="took longer"):
        await reranker.scores("", "cats", ["cats"] * 20, ANONYMOUS)


async def test_a_request_is_judged_by_the_local_model(tmp_path: Path) -> None:
    section = RagSection(
        embedding_model_path=minilm(),
        embedding_threads=1,
        rerank_path=cross_encoder(tmp_path / "shared-words"),
    )
    async with open_rag(section, tmp_path) as service:
        await service.create("a", "docs")
        for name, text in (("cats", "Kittens nap all the time."), ("cars", "An engine burns petrol.")):
            async with asyncio.timeout(60):
                await service.ended("a", await service.submit("a", "docs", f"{name}.txt", text.encode()))
        query = "engine of a sleepy cat that naps"
        for rerank, first in ((None, "cats.txt"), ("default", "cars.txt")):
            wanted = RetrievalRequest(query, ("docs",), rerank=rerank, explain=True)
            found = await service.retrieve(wanted, CALL)
            assert found.passages[0].title == first
            assert found.explanation["rerank"] == (rerank and "shared-words")


@pytest.mark.parametrize(
    ("more", "why"),
    [({}, "must hold model.onnx"), ({"rerank_url": "http://127.0.0.1:9/rerank"}, "not both")],
)
async def test_a_model_that_is_not_there_is_said_at_the_start(
    more: dict[str, str], why: str, tmp_path: Path
) -> None:
    section = RagSection(embedding_model_path=minilm(), rerank_path=tmp_path / "none", **more)
    with pytest.raises(ConfigError, match=why):
        async with open_rag(section, tmp_path):
            pass
