"""`/v1/rerank` over HTTP: the node's cross-encoder, or its embedding model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import StartNode
from tests.servers.cross_encoder import cross_encoder
from tests.servers.minilm import minilm

TEXTS = ["Brakes slow a vehicle.", "An engine burns petrol all day.", "Cats sleep all day."]
ASKED: dict[str, Any] = {"query": "why cats sleep", "documents": TEXTS}


async def test_documents_come_back_in_the_order_of_how_well_they_fit(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    model = cross_encoder(tmp_path / "shared-words")
    node = await start_node(
        f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\nrerank_path = "{model}"\n',
        role="RagManager",
    )

    async def ask(body: dict[str, Any], version: str = "v1") -> tuple[int, Any]:
        async with http.post(f"{node.listening[0].url}/{version}/rerank", json=body) as reply:
            return reply.status, await reply.json()

    status, told = await ask(ASKED)
    assert (status, told["model"], told["object"]) == (200, "shared-words", "list")
    assert next(row["index"] for row in told["results"]) == 2
    assert [row["relevance_score"] for row in told["results"]] == sorted(
        (row["relevance_score"] for row in told["results"]), reverse=True
    )
    documents: list[Any] = [TEXTS[0], {"text": TEXTS[2]}, TEXTS[1]]
    body = {"query": "why cats sleep", "documents": documents, "top_n": 1, "return_documents": True}
    status, told = await ask(body | {"model": "shared-words"}, "v2")
    assert [(row["index"], row["document"]) for row in told["results"]] == [(1, {"text": TEXTS[2]})]
    # by the embedding model, which is asked by its name
    nap = ASKED | {"query": "a nap of a kitten", "model": "all-MiniLM-L6-v2"}
    status, told = await ask(nap)
    assert (told["model"], told["results"][0]["index"]) == ("all-MiniLM-L6-v2", 2)
    assert 1 > told["results"][0]["relevance_score"] > 2 * told["results"][1]["relevance_score"]
    # of each document only so much is judged
    late = {"query": "petrol", "documents": ["x " * 50 + "petrol", "day"], "max_tokens_per_doc": 5}
    status, told = await ask(late)
    assert told["results"][0]["relevance_score"] == told["results"][1]["relevance_score"]
    # as other vendors' clients ask, and with `null` for what is not said
    for more in ({"top_k": 1}, {"top_n": 1, "model": None, "return_documents": None, "truncation": True}):
        status, told = await ask(ASKED | more)
        assert (status, [row["index"] for row in told["results"]]) == (200, [2]), told
    rows = [{"title": "Cats", "body": "sleep"}, {"title": "Cars", "text": "drive"}]
    status, told = await ask(
        {
            "query": "why cats sleep",
            "documents": rows,
            "rank_fields": ["title", "body"],
            "return_documents": True,
        }
    )
    assert told["results"][0]["document"] == rows[0]
    for wrong, status, words in (
        ({"documents": rows}, 400, "'documents[0]' has no 'text'"),
        ({"query": None}, 400, "query"),
        ({"query": " "}, 400, "query is empty"),
        ({"documents": []}, 400, "1 to 1,000"),
        ({"documents": ["x"] * 1_001}, 400, "1 to 1,000"),
        ({"top_n": 0}, 400, "top_n"),
        ({"documents": [1]}, 400, "documents"),
        ({"overfetch": 3}, 400, "overfetch"),
        ({"model": "rerank-9"}, 404, "'shared-words' and 'all-MiniLM-L6-v2'"),
    ):
        got, told = await ask(ASKED | wrong)
        assert (got, words in told["error"]["message"]) == (status, True), told


async def test_a_node_without_its_model_says_so_wherever_it_is_asked(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    node = await start_node(f'[rag]\nembedding_model_path = "{tmp_path / "none"}"\n', role="RagManager")
    url = f"{node.listening[0].url}"

    async def ask(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        async with http.post(f"{url}{path}", json=body) as reply:
            return reply.status, await reply.json()

    assert (await ask("/rag/v1/collections", {"name": "docs"}))[0] == 201
    async with http.get(f"{url}/v1/vector_stores") as reply:
        store = (await reply.json())["data"][0]["id"]
    wanted = {"query": "cats", "collections": ["docs"]}
    for path, body in (
        ("/rag/v1/retrieve", wanted),
        ("/rag/v1/candidates", wanted),
        ("/rag/v1/embed", {"model": "all-MiniLM-L6-v2", "texts": ["cats"]}),
        ("/rag/v1/collections/docs/rebuild", {}),
        (f"/v1/vector_stores/{store}/search", {"query": "cats"}),
        ("/v1/rerank", ASKED),
    ):
        status, told = await ask(path, body)
        assert (status, "embedding_model_path" in told["error"]["message"]) == (503, True), (path, told)
