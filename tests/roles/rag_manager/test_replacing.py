"""A newer version of a document takes the place of the older one in one step, and small documents go before a bulk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from intellirouter.config.schema.rag import RagSection
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.security.caller import Caller
from tests.servers.minilm import minilm

CALL = Call(Caller(tenant="a"), "r")
PARTS = 12


def version(number: int) -> bytes:
    """Of several chunks, each of which says which version it is of."""
    parts = (f"# Part {part}\n\nThe warranty of version v{number} in part {part}.\n" for part in range(PARTS))
    return "\n".join(parts).encode()


async def test_no_answer_mixes_two_versions(tmp_path: Path) -> None:
    section = RagSection(embedding_model_path=minilm(), embedding_threads=1, max_chunks_per_document=20)
    async with open_rag(section, tmp_path) as service, asyncio.timeout(120):
        await service.create("a", "docs")
        await service.ended("a", await service.submit("a", "docs", "w.md", version(0)))
        wrong: list[tuple[set[str], int]] = []
        newest, asked = 0, 0

        async def ask() -> None:
            nonlocal newest, asked
            while not over.is_set():
                asked += 1
                request = RetrievalRequest(f"warranty of the version, asked {asked}", ("docs",), 20)
                found = await service.retrieve(request, CALL)
                seen = {
                    word
                    for one in found.passages
                    for word in one.text.split()
                    if word[:1] == "v" and word[1:].isdigit()
                }
                if len(seen) != 1 or int(min(seen)[1:]) < newest or len(found.passages) != PARTS:
                    wrong.append((seen, len(found.passages)))
                newest = max([newest, *(int(word[1:]) for word in seen)])

        over = asyncio.Event()
        asking = [asyncio.create_task(ask()) for _ in range(2)]
        for number in range(1, 6):
            await service.ended("a", await service.submit("a", "docs", "w.md", version(number)))
        over.set()
        await asyncio.gather(*asking)
        assert asked > 20
        assert wrong == []
        assert await service.verify("a", "docs") == ([], [])


async def test_a_version_that_is_cancelled_is_never_seen(tmp_path: Path) -> None:
    section = RagSection(embedding_model_path=minilm(), embedding_threads=1)
    async with open_rag(section, tmp_path) as service, asyncio.timeout(120):
        await service.create("a", "docs")
        await service.ended("a", await service.submit("a", "docs", "w.md", version(1)))
        before = await service.chunks("a", "docs", "w.md")
        job = await service.submit("a", "docs", "w.md", version(2))
        await service.cancel("a", job)
        assert (await service.ended("a", job))["status"] == "cancelled"
        shown = [chunk["text"] for chunk in await service.chunks("a", "docs", "w.md") if chunk["ready"]]
        assert shown == [chunk["text"] for chunk in before]
        await service.ended(
            "a", await service.submit("a", "docs", "w.md", version(1))
        )  # and nothing is left of it
        rows = await service.engine.read(
            lambda db: db.execute("select distinct ready from chunks").fetchall()
        )
        assert rows == [(catalog.SHOWN,)]


async def test_a_small_document_does_not_wait_for_a_bulk(tmp_path: Path) -> None:
    bulk = "\n\n".join(
        f"Paragraph {n} tells of the sea, of ships and of harbours far away. " * 8 for n in range(400)
    )
    section = RagSection(embedding_model_path=minilm(), embedding_threads=1)
    async with open_rag(section, tmp_path) as service, asyncio.timeout(150):
        await service.create("a", "bulk")
        await service.create("a", "mine")
        await service.create("b", "theirs")
        jobs = [await service.submit("a", "bulk", f"{n}.txt", f"{n}\n\n{bulk}".encode()) for n in range(3)]
        async for state in service.progress("a", jobs[0]):
            if state["total"]:
                break
        small = [
            ("a", await service.submit("a", "mine", "x.txt", b"The warranty of the kettle is three years.")),
            ("b", await service.submit("b", "theirs", "x.txt", b"The warranty of the kettle is five years.")),
        ]
        for tenant, job in small:
            assert (await service.ended(tenant, job))["status"] == "ready"
        left = [await service.job("a", job) for job in jobs]
        assert all(job["status"] == "running" for job in left)
        for job in jobs:
            await service.cancel("a", job)
