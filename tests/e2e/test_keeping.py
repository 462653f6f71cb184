"""What a tenant keeps in all has an end that is told; what it deletes makes room, and another tenant notices nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from intellirouter.config.schema.keeping import KeepingSection
from intellirouter.security.ownership import KINDS
from tests.conftest import StartVendor
from tests.e2e.test_callers import answering, saying, world
from tests.servers.installation import Installation, configured_key, installed

BOUNDS = """
[keeping.tenants.acme]
conversations = 2
conversation_bytes = 3000
responses = 2
chains = 2
schedules = 2
runs = 2
collections = 2
documents = 2
files = 2
rag_bytes = 2000
personas = 2
persona_bytes = 4000
[keeping.tenants.nothing]
conversations = 0
chains = 0
collections = 0
files = 0
personas = 0
"""
Told = tuple[int, Any]
Put = Callable[..., Awaitable[Told]]


@pytest.fixture
async def place(tmp_path: Path, start_vendor: StartVendor) -> AsyncIterator[Installation]:
    vendor = await start_vendor(answering)
    scopes = "inference chains personas"
    keys = "".join(
        configured_key(name, tenant=tenant, scopes=scopes)
        for name, tenant in (("ours", "acme"), ("theirs", "globex"), ("none", "nothing"))
    )
    async with installed("one", tmp_path / "nodes", BOUNDS + world(vendor, None) + keys) as made:
        yield made


async def conversation(place: Installation, key: str, name: str) -> Told:
    return await place.chat(key, "cheap", conversation=name)


async def chain(place: Installation, key: str, name: str) -> Told:
    path, source = f"/v1/chains/{name}", saying("cheap", name)
    return await place.ask("ChainEngine", key, "PUT", path, {"source": source})


async def schedule(place: Installation, key: str, name: str) -> Told:
    await chain(place, key, "n0")
    body = {"cron": "0 0 1 1 *", "chain": "n0", "input": {"question": "x"}}
    return await place.ask("ChainEngine", key, "PUT", f"/v1/schedules/{name}", body)


async def run(place: Installation, key: str, name: str) -> Told:
    await chain(place, key, "n0")
    body = {"input": {"question": name}, "mode": "wait"}
    return await place.ask("ChainEngine", key, "POST", "/v1/chains/n0/runs", body)


async def collection(place: Installation, key: str, name: str) -> Told:
    return await place.ask("RagManager", key, "POST", "/rag/v1/collections", {"name": name})


async def document(place: Installation, key: str, name: str) -> Told:
    await collection(place, key, "n0")
    path = f"/rag/v1/collections/n0/documents?name={name}"
    return await place.ask("RagManager", key, "POST", path, b"words of it")


async def file(place: Installation, key: str, name: str, size: int = 10) -> Told:
    form = FormData()
    form.add_field("purpose", "assistants")
    form.add_field("file", b"x" * size, filename=f"{name}.txt", content_type="text/plain")
    return await place.ask("RagManager", key, "POST", "/v1/files", data=form)


async def store(place: Installation, key: str, name: str) -> Told:
    return await place.ask("RagManager", key, "POST", "/v1/vector_stores", {"name": name})


async def persona(place: Installation, key: str, name: str) -> Told:
    body = {"source": f'prompt = "You are {name}."\n'}
    return await place.ask("PersonaLayer", key, "PUT", f"/v1/personas/{name}", body)


KEPT: dict[str, tuple[Put, str, str]] = {
    "conversations": (conversation, "Router", "/v1/conversations/n0"),
    "schedules": (schedule, "ChainEngine", "/v1/schedules/n0"),
    "chains": (chain, "ChainEngine", "/v1/chains/n1"),
    "runs": (run, "", ""),
    "documents": (document, "RagManager", "/rag/v1/collections/n0/documents/n0"),
    "collections": (collection, "RagManager", "/rag/v1/collections/n1"),
    "files": (file, "RagManager", ""),
    "personas": (persona, "PersonaLayer", "/v1/personas/n0"),
}


async def _at_its_end(place: Installation, what: str) -> None:
    put, role, gone = KEPT[what]
    made: Any = {}
    for number in range(2):
        status, made = await put(place, "ours", f"n{number}")
        assert status < 300 or status == 409, (what, made)
    status, told = await put(place, "ours", "n2")
    assert status == 413, (what, told)
    words = str(told)
    assert f"keeping.{what}" in words
    assert "delete some" in words
    assert "storage_limit_exceeded" in words
    status, told = await put(place, "theirs", "n2")
    assert status < 300, (what, told)  # another tenant has its own room
    if what == "files":
        gone = f"/v1/files/{made['id']}"
    if gone:
        status, told = await place.ask(role, "ours", "DELETE", gone)
        assert status < 300, (what, told)
        status = await _in_a_moment(place, put)
        assert status < 300, what


async def _in_a_moment(place: Installation, put: Put, **more: Any) -> int:
    """A count is believed for a moment."""
    async with asyncio.timeout(60):
        while True:
            status, _ = await put(place, "ours", "n2", **more)
            if status != 413:
                return status
            await asyncio.sleep(0.05)


async def test_each_kind_of_thing_comes_to_an_end_and_what_is_deleted_makes_room(place: Installation) -> None:
    failures = {}
    for what in KEPT:
        try:
            await _at_its_end(place, what)
        except AssertionError as failure:
            failures[what] = str(failure)[:600]
    assert not failures
    assert (await store(place, "ours", "n3"))[0] == 413  # a vector store is a collection
    for what in ("conversations", "chains", "collections", "files", "personas"):
        put = KEPT[what][0]
        assert (await put(place, "none", "n0"))[0] == 413, what  # zero is none at all


async def test_what_was_to_be_replaced_or_read_is_not_refused_at_the_end(place: Installation) -> None:
    for number in range(2):
        for put in (chain, persona, collection, conversation):
            assert (await put(place, "ours", f"n{number}"))[0] < 300
    for put in (chain, persona, conversation):
        assert (await put(place, "ours", "n1"))[0] < 300, put  # one that is there may change and go on
    assert (await place.chat("ours", "cheap"))[0] == 200


async def test_bytes_come_to_an_end_too(place: Installation) -> None:
    assert (await file(place, "ours", "a", 1_500))[0] < 300
    status, told = await file(place, "ours", "b", 1_500)
    assert status == 413, told
    assert "keeping.rag_bytes" in str(told)
    assert await _in_a_moment(place, file, size=100) < 300
    words = [{"role": "user", "content": "w" * 2_900}]
    assert (await place.chat("ours", "cheap", conversation="long", messages=words))[0] == 200
    status, told = await place.chat("ours", "cheap", conversation="long")
    assert status == 413, told
    assert "keeping.conversation_bytes" in str(told)
    long = {"source": f'prompt = "{"p" * 5_000}"\n'}
    status, told = await place.ask("PersonaLayer", "ours", "PUT", "/v1/personas/long", long)
    assert status == 413, told
    assert "keeping.persona_bytes" in str(told)


async def test_earlier_versions_of_personas_are_forgotten_before_new_ones_are_refused(
    place: Installation,
) -> None:
    for number in range(12):
        body = {"source": f'prompt = "{number:03}{"p" * 1_000}"\n'}
        status, told = await place.ask("PersonaLayer", "ours", "PUT", "/v1/personas/one", body)
        assert status < 300, told
        assert told["version"] == number + 1
    _, versions = await place.ask("PersonaLayer", "ours", "GET", "/v1/personas/one/versions")
    numbers = [version["version"] for version in versions["data"]]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 12
    assert len(numbers) <= 4


async def test_an_answer_that_is_not_kept_says_so_and_one_that_must_be_is_refused(
    place: Installation,
) -> None:
    body = {"model": "cheap", "input": "x"}
    for kept in (True, True, False):
        status, told = await place.ask("Router", "ours", "POST", "/v1/responses", body)
        assert (status, told["store"]) == (200, kept)
    status, told = await place.ask("Router", "ours", "POST", "/v1/responses", {**body, "store": True})
    assert status == 413, told
    assert "keeping.responses" in str(told)
    _, first = await place.ask("Router", "theirs", "POST", "/v1/responses", {**body, "store": True})
    assert first["store"] is True


async def test_reading_again_and_again_leaves_no_endless_list_of_jobs(place: Installation) -> None:
    for number in range(14):
        path = "/rag/v1/collections/n0/documents?name=one"
        await collection(place, "ours", "n0")
        status, _ = await place.ask("RagManager", "ours", "POST", path, f"version {number}".encode())
        assert status == 202
    _, jobs = await place.ask("RagManager", "ours", "GET", "/rag/v1/jobs")
    assert 1 <= len(jobs["jobs"]) <= 12


def test_every_kind_of_thing_has_a_bound() -> None:
    amounts = {f"keeping.{name}" for name in KeepingSection.model_fields}
    assert {kind.bound for kind in KINDS} <= amounts | {
        "memory",
        "people",
        "cache.max_bytes",
        "records.max_bytes",
    }
