"""The /rerank form against a stand-in that answers as told: a real cross-encoder is a paid or separate service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import InvalidRequest, PeerUnavailable, PermissionDenied
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.reranking import RerankService
from intellirouter.security.caller import Caller
from intellirouter.transport.outgoing.door import OutgoingDoor
from tests.servers.minilm import minilm

CALL = Call(Caller(tenant="a"), "r")


class Judge:
    """Prefers texts that say "petrol"; `answer` takes its place."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: web.Response | None = None

    async def handle(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer key"
        body = await request.json()
        self.asked.append(body)
        if self.answer is not None:
            return self.answer
        scores = [
            {"index": n, "relevance_score": float("petrol" in text)}
            for n, text in enumerate(body["documents"])
        ]
        return web.json_response({"results": sorted(scores, key=lambda row: -row["relevance_score"])})


async def served(judge: Judge) -> TestServer:
    app = web.Application()
    app.router.add_post("/v2/rerank", judge.handle)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_the_reranker_orders_and_is_skipped_when_it_is_away(tmp_path: Path) -> None:
    judge = Judge()
    server = await served(judge)
    section = RagSection(
        embedding_model_path=minilm(),
        embedding_threads=1,
        rerank_url=str(server.make_url("/v2/rerank")),
        rerank_model="judge-1",
        rerank_api_key="key",  # type: ignore[arg-type]
    )
    async with open_rag(section, tmp_path) as service:
        await service.create("a", "docs")
        for name, text in (("cats", "Cats sleep all day."), ("cars", "An engine burns petrol.")):
            async with asyncio.timeout(60):
                await service.ended("a", await service.submit("a", "docs", f"{name}.txt", text.encode()))
        plain = await service.retrieve(RetrievalRequest("sleepy cats", ("docs",)), CALL)
        assert [passage.title for passage in plain.passages] == ["cats.txt", "cars.txt"]
        assert judge.asked == []
        wanted = RetrievalRequest("sleepy cats", ("docs",), rerank="default")
        judged = await service.retrieve(wanted, CALL)
        assert [(one.title, one.rerank_score) for one in judged.passages] == [
            ("cars.txt", 1.0),
            ("cats.txt", 0.0),
        ]
        assert judge.asked[0]["model"] == "judge-1"
        assert judge.asked[0]["top_n"] == 2
        # a key asks for no model that it may not use, whatever it is called
        narrow = Call(Caller(tenant="a", models=("judge-1",)), "r")
        assert (await service.retrieve(wanted, narrow)).passages == judged.passages
        for model, call in (("judge-2", narrow), ("default", Call(Caller(tenant="a", models=("m",)), "r"))):
            with pytest.raises(PermissionDenied, match="may not use the model 'judge-"):
                await service.retrieve(RetrievalRequest("sleepy cats", ("docs",), rerank=model), call)
        with pytest.raises(InvalidRequest, match="at most 256 characters"):
            await service.retrieve(RetrievalRequest("sleepy cats", ("docs",), rerank="j" * 300), CALL)
        await server.close()
        explained = RetrievalRequest("sleepy cats", ("docs",), rerank="judge-2", explain=True)
        alone = await service.retrieve(explained, CALL)
        assert [passage.title for passage in alone.passages] == ["cats.txt", "cars.txt"]
        assert alone.explanation["rerank"].startswith("skipped: ")
    async with open_rag(RagSection(embedding_model_path=minilm()), tmp_path) as service:
        with pytest.raises(InvalidRequest, match="rerank_url"):
            await service.retrieve(wanted, CALL)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"status": 429, "text": "slow down"}, "answered 429"),
        ({"text": "no JSON"}, "no rerank answer"),
        ({"text": '{"results": [{"index": 0, "relevance_score": 1}]}'}, "did not judge every text"),
        ({"text": '{"results": [{"index": 7, "relevance_score": 1}]}'}, "did not judge every text"),
        ({"body": b"x" * 2_000_000}, "too great length"),
        ({"status": 307, "headers": {"location": "http://127.0.0.1:9/"}}, "answered 307"),
    ],
)
async def test_an_answer_that_is_none(answer: dict[str, Any], says: str) -> None:
    judge = Judge()
    judge.answer = web.Response(**answer)
    server = await served(judge)
    reranker = RerankService(str(server.make_url("/v2/rerank")), "key", 5, OutgoingDoor())
    try:
        with pytest.raises(PeerUnavailable, match=says):
            await reranker.scores("m", "q", ["one", "two"], CALL.caller)
    finally:
        await reranker.close()
        await server.close()
