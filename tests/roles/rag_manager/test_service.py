"""The service on a real catalogue, a real Chroma and the real model; and its HTTP surface."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.cli.rag_remote import RemoteRag
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import ConfigError, InvalidRequest, NotFound, StateUnavailable
from intellirouter.peers.contract import Call, RetrievalRequest, Retrieved
from intellirouter.roles.rag_manager import native, retrieval
from intellirouter.roles.rag_manager.embedding.onnx import OnnxEmbedder
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.security.caller import Caller
from tests.conftest import StartNode
from tests.servers.minilm import minilm

PAGES = {
    "cats.md": "# Cats\n\nA cat sleeps for most of the day.\n\n## Food\n\nCats eat meat; zyxophrine is poison to them.",
    "cars.txt": "The engine of a car burns petrol. Brakes slow the vehicle down.",
    "bread.html": "<title>Bread</title><h1>Baking</h1><p>Dough of flour, water and yeast rises in a warm place.</p>",
}


def section() -> RagSection:
    return RagSection(embedding_model_path=minilm(), embedding_threads=1)


async def ended(service: RagService, job: str, tenant: str = "a") -> dict[str, Any]:
    async with asyncio.timeout(150):
        return await service.ended(tenant, job)


async def ask(
    service: RagService, query: str, *, tenant: str = "a", seconds: float | None = None, **more: Any
) -> Retrieved:
    deadline = None if seconds is None else time.monotonic() + seconds
    request = RetrievalRequest(query, ("docs",), **more)
    return await service.retrieve(request, Call(Caller(tenant=tenant), "r", deadline))


async def test_documents_in_passages_out(tmp_path: Path) -> None:
    async with open_rag(section(), tmp_path) as service:
        await service.create("a", "docs")
        for name, text in PAGES.items():
            job = await service.submit("a", "docs", name, text.encode(), {"kind": Path(name).suffix})
            assert (await ended(service, job))["status"] == "ready"

        by_meaning = (await ask(service, "How do I make a loaf?")).passages[0]
        assert (by_meaning.title, by_meaning.location) == ("Bread", "Baking")
        assert by_meaning.metadata == {"filename": "bread.html", "attributes": {"kind": ".html"}}
        by_word = (await ask(service, "zyxophrine")).passages[0]
        assert by_word.location == "Cats › Food"
        assert by_word.lexical_score is not None
        filtered = await ask(service, "cats", filters={"type": "eq", "key": "kind", "value": ".txt"})
        assert {passage.title for passage in filtered.passages} == {"cars.txt"}
        assert not (await ask(service, "quantum chromodynamics", min_score=0.5)).passages
        explained = (await ask(service, "zyxophrine", top_k=1, explain=True)).explanation
        first, *others = explained["candidates"]
        assert (first["id"], first["outcome"]) == (by_word.id, "chosen")
        assert {row["outcome"] for row in others} == {"not reached"}

        with pytest.raises(NotFound):  # another tenant sees nothing
            await ask(service, "cats", tenant="b")
        assert await service.collections("b") == []

        # the same again changes nothing; a new version replaces what is gone
        before = await service.collections("a")
        await ended(service, await service.submit("a", "docs", "cars.txt", PAGES["cars.txt"].encode()))
        assert (await service.collections("a"))[0]["chunks"] == before[0]["chunks"]
        await ended(service, await service.submit("a", "docs", "cars.txt", b"Trains run on rails."))
        assert "Trains" in (await ask(service, "railway")).passages[0].text
        assert "petrol" not in str(await ask(service, "petrol engine"))
        assert await service.verify("a", "docs") == ([], [])

        await service.drop_document("a", "docs", "cats.md")
        assert "zyxophrine" not in str(await ask(service, "zyxophrine"))
        await service.drop("a", "docs")
        with pytest.raises(NotFound):
            await ask(service, "cats")


@pytest.mark.parametrize("exact", [5_000, 2])
async def test_a_filter_holds_for_meaning_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    """Few that pass are compared one by one, of many the nearest are looked through."""
    monkeypatch.setattr(retrieval, "EXACT", exact)
    animals = ["cat", "dog", "horse", "cow", "hen", "goose"]
    async with open_rag(section(), tmp_path) as service:
        await service.create("a", "docs")
        for number, animal in enumerate(animals):
            facts = {"legs": 2 if number > 3 else 4, "number": number}
            text = f"The {animal} lives on the farm and eats."
            await ended(service, await service.submit("a", "docs", animal, text.encode(), facts))
        wanted = {
            "type": "and",
            "filters": [
                {"type": "eq", "key": "legs", "value": 4},
                {"type": "gt", "key": "number", "value": 0},
            ],
        }
        found = await ask(service, "The cat and the goose", filters=wanted, explain=True)
        assert {passage.title for passage in found.passages} == {"dog", "horse", "cow"}
        assert len(found.explanation["candidates"]) == 3
        assert not (await ask(service, "goose", filters={"type": "eq", "key": "legs", "value": 3})).passages
        with pytest.raises(InvalidRequest):
            await ask(service, "goose", filters={"type": "like", "key": "legs", "value": 3})


@pytest.mark.timeout(400)  # to embed takes as long as the machine needs
async def test_a_killed_store_loses_nothing_and_a_second_process_is_refused(tmp_path: Path) -> None:
    text = "\n\n".join(f"# Part {n}\n\nSentence number {n} about topic {n * 7}." for n in range(350))
    async with open_rag(section(), tmp_path) as service:
        with pytest.raises(StateUnavailable, match="Another process"):
            async with open_rag(section(), tmp_path):
                pass
        await service.create("a", "docs")
        job = await service.submit("a", "docs", "parts.md", text.encode())
        async with asyncio.timeout(150):
            while True:
                if (await service.job("a", job))["done"] >= 100:
                    break
                await asyncio.sleep(0.01)
        child = service._index.pid  # type: ignore[attr-defined]
        assert child is not None
        os.kill(child, signal.SIGKILL)
        assert (await ended(service, job))["status"] == "ready"
        assert await service.verify("a", "docs") == ([], [])
        assert (await service.collections("a"))[0]["chunks"] == 350


async def test_a_stopped_ingestion_goes_on_at_the_next_start(tmp_path: Path) -> None:
    async with open_rag(section(), tmp_path) as service:
        await service.create("a", "docs")
        job = await service.submit("a", "docs", "cats.md", PAGES["cats.md"].encode())
    async with open_rag(section(), tmp_path) as service:
        assert (await ended(service, job))["status"] == "ready"
        assert (await service.collections("a"))[0]["chunks"] == 2


async def test_a_lost_index_is_rebuilt_from_the_catalogue(tmp_path: Path) -> None:
    async with open_rag(section(), tmp_path) as service:
        await service.create("a", "docs")
        await ended(service, await service.submit("a", "docs", "cats.md", PAGES["cats.md"].encode()))
        before = await ask(service, "what do cats eat")
    shutil.rmtree(tmp_path / "rag" / "chroma")
    async with open_rag(section(), tmp_path) as service:
        missing, stray = await service.verify("a", "docs")
        assert (len(missing), stray) == (2, [])
        assert await service.rebuild("a", "docs") == 2
        assert await service.verify("a", "docs") == ([], [])
        after = await ask(service, "what do cats eat")
        assert [passage.id for passage in after.passages] == [passage.id for passage in before.passages]


async def test_a_cancelled_job_stops_and_says_so(tmp_path: Path) -> None:
    text = "\n\n".join(f"# Part {n}\n\nSentence number {n}." for n in range(1500))
    async with open_rag(section(), tmp_path) as service:
        await service.create("a", "docs")
        job = await service.submit("a", "docs", "parts.md", text.encode())
        with pytest.raises(NotFound):
            await service.cancel("b", job)
        assert await service.cancel("a", job)
        assert (await ended(service, job))["status"] == "cancelled"
        assert (await service.documents("a", "docs"))[0]["status"] == "cancelled"
        assert not await service.cancel("a", job)


async def test_http(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    node = await start_node(f'[rag]\nembedding_model_path = "{minilm()}"\n', role="RagManager")
    base = f"{node.listening[0].url}/rag/v1"
    async with http.post(f"{base}/collections", json={"name": "docs"}) as response:
        assert response.status == 201
    params = {"name": "../../etc/passwd", "kind": "x"}
    async with http.post(
        f"{base}/collections/docs/documents", params=params, data=b"Rain is wet."
    ) as response:
        assert response.status == 202
        job = (await response.json())["job"]
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{base}/jobs/{job}") as response:
                if (await response.json())["status"] == "ready":
                    break
            await asyncio.sleep(0.05)
    body = {"query": "weather", "collections": ["docs"]}
    async with http.post(f"{base}/retrieve", json=body) as response:
        assert (await response.json())["passages"][0]["text"] == "Rain is wet."
    for wrong, status in (
        ({"query": "x"}, 400),
        ({**body, "collections": ["no"]}, 404),
        ({**body, "top_k": 0}, 400),
    ):
        async with http.post(f"{base}/retrieve", json=wrong) as response:
            assert response.status == status
    async with http.get(f"{node.listening[0].url}/metrics") as response:
        counted = (await response.text()).splitlines()
    for line in (
        'rag_jobs_total{outcome="ready"} 1.0',
        "rag_chunks_stored_total 1.0",
        'rag_retrievals_total{outcome="found"} 1.0',
        'rag_retrievals_total{outcome="refused"} 2.0',
        "rag_retrieval_duration_seconds_count 3.0",
    ):
        assert line in counted


async def test_documents_are_listed_in_pages(
    start_node: StartNode, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "MOST_DOCUMENTS", 3)
    node = await start_node(f'[rag]\nembedding_model_path = "{minilm()}"\n', role="RagManager")
    base = f"{node.listening[0].url}/rag/v1/collections"
    async with aiohttp.ClientSession(node.listening[0].url) as session:
        remote = RemoteRag(session)
        await remote.create("", "docs")
        assert await remote.documents("", "docs") == []
        names = [f"ä{number}&.txt" for number in range(7)]
        for name in reversed(names):
            await remote.submit("", "docs", name, b"Rain is wet.")
        assert [row["name"] for row in await remote.documents("", "docs")] == names
    async with http.get(f"{base}/docs/documents", params={"after": names[3]}) as reply:
        page = await reply.json()
    assert ([row["name"] for row in page["documents"]], page["has_more"]) == (names[4:], False)
    for limit in ("0", "4", "x"):
        async with http.get(f"{base}/docs/documents", params={"limit": limit}) as reply:
            assert (reply.status, (await reply.json())["error"]["param"]) == (400, "limit")


async def test_a_model_that_opens_slowly_is_opened_once_for_all_who_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, opened = threading.Event(), 0

    def slow(*arguments: Any) -> OnnxEmbedder:
        nonlocal opened
        opened += 1
        if opened == 1:
            raise ConfigError("not pulled yet")
        may.wait(60)
        return OnnxEmbedder(*arguments)

    monkeypatch.setattr("intellirouter.roles.rag_manager.open.OnnxEmbedder", slow)
    async with open_rag(section(), tmp_path) as service:
        await service.create("a", "docs")
        with pytest.raises(StateUnavailable, match="not pulled yet"):
            await ask(service, "cats")
        for _ in range(3):
            with pytest.raises(StateUnavailable, match="in time"):
                await ask(service, "cats", seconds=0.05)
        may.set()
        assert (await ask(service, "cats")).passages == ()
    assert opened == 2
