"""Whatever a tenant asks of another's collection, there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import NotFound
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.security.caller import Caller
from tests.servers.minilm import minilm

ACTIONS: dict[str, Callable[[RagService, str], Awaitable[Any]]] = {
    "retrieve": lambda service, _: service.retrieve(RetrievalRequest("rain", ("docs",)), Call(Caller(tenant="b"), "r")),
    "documents": lambda service, _: service.documents("b", "docs"),
    "submit": lambda service, _: service.submit("b", "docs", "x.txt", b"Mine now."),
    "drop": lambda service, _: service.drop("b", "docs"),
    "drop_document": lambda service, _: service.drop_document("b", "docs", "rain.txt"),
    "verify": lambda service, _: service.verify("b", "docs"),
    "rebuild": lambda service, _: service.rebuild("b", "docs"),
    "reindex": lambda service, _: service.reindex("b", "docs"),
    "chunks": lambda service, _: service.chunks("b", "docs", "rain.txt"),
    "progress": lambda service, job: anext(service.progress("b", job)),
    "job": lambda service, job: service.job("b", job),
    "ended": lambda service, job: service.ended("b", job),
    "cancel": lambda service, job: service.cancel("b", job),
}  # fmt: skip


async def test_another_tenants_collection_is_not_there(tmp_path: Path) -> None:
    async with open_rag(RagSection(embedding_model_path=minilm(), embedding_threads=1), tmp_path) as service:
        await service.create("a", "docs")
        job = await service.submit("a", "docs", "rain.txt", b"Rain is wet.")
        async with asyncio.timeout(60):
            assert (await service.ended("a", job))["status"] == "ready"
        for action in ACTIONS.values():
            with pytest.raises(NotFound):
                await action(service, job)
        assert await service.collections("b") == []
        assert await service.jobs("b") == []

        await service.create("b", "docs")  # of the same name, and still apart
        async with asyncio.timeout(60):
            await service.ended("b", await service.submit("b", "docs", "rain.txt", b"Snow is cold."))
        for tenant, text in (("a", "Rain is wet."), ("b", "Snow is cold.")):
            found = await service.retrieve(
                RetrievalRequest("rain", ("docs",)), Call(Caller(tenant=tenant), "r")
            )
            assert [passage.text for passage in found.passages] == [text]
        await service.drop("b", "docs")
        assert (await service.collections("a"))[0]["chunks"] == 1
