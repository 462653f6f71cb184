"""Ingestion acts in the name of the key that left the document, and waits or stops with it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import BudgetExceeded, KeyEnded, PermissionDenied, RateLimited
from intellirouter.peers.contract import Call
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.security.caller import Caller, Owner
from tests.roles.rag_manager.test_provider_embedding import MODEL, Letters

OURS = Owner("a", "ann", "key_1")


class Ring:
    """Vouches for `caller`, or refuses."""

    def __init__(self) -> None:
        self.ended = ""

    async def caller_of(self, owner: Owner) -> Caller:
        if self.ended:
            raise KeyEnded(self.ended)
        return Caller(owner.key_id, owner.tenant, ref=owner.ref)


class Counted(Letters):
    """Remembers in whose name it was asked; `refuse` says what a caller hears."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.refuse: dict[str, Exception] = {}

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        self.asked.append(call.caller.key_id)
        if call.caller.key_id in self.refuse:
            raise self.refuse[call.caller.key_id]
        return await super().embed(request, call)


async def test_a_job_is_embedded_in_the_name_of_its_key(tmp_path: Path) -> None:
    chat, ring = Counted(), Ring()
    async with open_rag(RagSection(embedding_model=MODEL), tmp_path, chat=chat, authority=ring) as service:
        await service.create("a", "docs")

        async def submit(name: str, owner: Owner = OURS) -> str:
            return await service.submit("a", "docs", name, f"{name} zzz.".encode(), owner=owner)

        async def outcome(job: str) -> tuple[str, str]:
            async with asyncio.timeout(60):
                row = await service.ended("a", job)
            return row["status"], row["error"] or ""

        assert await outcome(await submit("one.txt")) == ("ready", "")
        assert set(chat.asked) == {"ann"}
        for refused in (
            BudgetExceeded("The budget is used up."),
            PermissionDenied("This key may not use it."),
        ):
            chat.refuse["ann"] = refused
            assert await outcome(await submit("two.txt")) == ("failed", refused.message)
        # a limit of one key's own holds up nobody else
        chat.refuse["ann"] = RateLimited("Slowly.", retry_after=60.0)
        waiting = [await submit(f"slow-{number}.txt") for number in range(30)]
        bob = Owner("a", "bob", "key_2")
        assert await outcome(await submit("bob.txt", bob)) == ("ready", "")
        assert (await service.job("a", waiting[0]))["status"] in ("queued", "running")
        chat.refuse.clear()
        ring.ended = "The key 'ann' was revoked."
        await service.engine.write(lambda db: db.execute("update jobs set not_before = 0"))
        service.queue.wake()
        for job in waiting:
            assert await outcome(job) == ("failed", ring.ended)


async def test_jobs_of_an_earlier_version_are_the_nodes(tmp_path: Path) -> None:
    directory = tmp_path / "rag"
    directory.mkdir()
    async with open_rag(RagSection(embedding_model=MODEL), tmp_path, chat=Counted()) as service:
        await service.create("a", "docs")
    with sqlite3.connect(directory / "catalog.sqlite3") as db:
        for column in ("owner", "not_before"):
            db.execute(f"alter table jobs drop column {column}")
    chat = Counted()
    async with open_rag(RagSection(embedding_model=MODEL), tmp_path, chat=chat) as service:
        job = await service.submit("a", "docs", "x.txt", b"zzz zzz.")
        async with asyncio.timeout(60):
            assert (await service.ended("a", job))["status"] == "ready"
        assert set(chat.asked) == {"rag-manager"}
