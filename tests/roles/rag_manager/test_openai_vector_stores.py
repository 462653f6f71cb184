"""Files and vector stores through OpenAI's own client, on a real node with the real model and a real Chroma."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.conftest import StartNode
from tests.servers.minilm import minilm

CATS = b"# Cats\n\nA cat sleeps for most of the day."
CARS = b"The engine of a car burns petrol. Brakes slow the vehicle down."


async def start(start_node: StartNode, more: str = "") -> tuple[str, openai.AsyncOpenAI]:
    toml = f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n{more}'
    url = (await start_node(toml, role="RagManager")).listening[0].url
    return url, openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60)


async def test_how_a_file_is_cut_when_a_store_expires_and_what_was_read(start_node: StartNode) -> None:
    _, client = await start(start_node)
    text = " ".join(f"Sentence number {number} tells of cats." for number in range(200))
    file = await client.files.create(file=("cats.txt", text.encode()), purpose="assistants")
    expires: Any = {"anchor": "last_active_at", "days": 3}
    store = await client.vector_stores.create(name="Animals", expires_after=expires)
    assert store.expires_after is not None
    assert (store.expires_after.days, store.status) == (3, "completed")
    assert store.expires_at == store.last_active_at + 3 * 86_400
    files = client.vector_stores.files
    cut: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    read = await files.create_and_poll(
        file.id, vector_store_id=store.id, chunking_strategy=cut, poll_interval_ms=50
    )
    assert (read.status, read.chunking_strategy.model_dump() if read.chunking_strategy else None) == (
        "completed",
        cut,
    )
    content = await files.content(file.id, vector_store_id=store.id)
    parts = [part.text or "" for part in content.data]
    assert len(parts) > 15
    assert max(map(len, parts)) <= 400
    assert " ".join(parts) == text
    async with aiohttp.ClientSession() as http:
        body = {"query": "Can you please tell me about sentence number 7?", "rewrite_query": True}
        async with http.post(f"{client.base_url}vector_stores/{store.id}/search", json=body) as reply:
            assert (await reply.json())["search_query"] == ["sentence number 7"]
    never = await client.vector_stores.update(store.id, expires_after=None)
    assert (never.expires_after, never.expires_at) == (None, None)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("", {"name": None, "file_ids": None, "metadata": None}, None),
        ("/search", {"query": "cats", "max_num_results": None, "rewrite_query": None}, None),
        ("/search", {"query": "cats", "ranking_options": {"ranker": None, "score_threshold": None}}, None),
        ("/search", {"query": None}, "query"),
        ("/search", {"query": "cats", "max_num_results": "5"}, "max_num_results"),
        ("/search", {"query": "cats", "ranking_options": {"score_threshold": "1"}}, "ranking_options.score_threshold"),
        ("/search", {"query": "cats", "most": 5}, "most"),
        ("/file_batches", {"file_ids": None}, "file_ids"),
    ],
)  # fmt: skip
async def test_null_is_as_good_as_nothing_and_what_is_wrong_is_named(
    start_node: StartNode, http: aiohttp.ClientSession, path: str, body: dict[str, Any], param: str | None
) -> None:
    _, client = await start(start_node)
    store = await client.vector_stores.create(name="Animals")
    where = f"{client.base_url}vector_stores" + (f"/{store.id}{path}" if path else "")
    async with http.post(where, json=body) as reply:
        told = await reply.json()
        assert (reply.status, told.get("error", {}).get("param")) == (400 if param else 200, param), told


async def test_files_and_vector_stores(start_node: StartNode, tmp_path: Path) -> None:
    _, client = await start(start_node)
    cats = await client.files.create(file=("cats.md", CATS), purpose="assistants")
    twin = await client.files.create(file=("cats.md", CATS), purpose="user_data")
    assert (cats.filename, cats.bytes, cats.status) == ("cats.md", len(CATS), "processed")
    assert await client.files.retrieve(cats.id) == cats
    assert (await client.files.content(cats.id)).content == CATS
    assert [file.id async for file in client.files.list()] == [twin.id, cats.id]
    assert [file.id async for file in client.files.list(purpose="user_data")] == [twin.id]
    assert [file.id async for file in client.files.list(limit=1, order="asc")] == [cats.id, twin.id]
    assert (await client.files.delete(twin.id)).deleted
    assert (await client.files.content(cats.id)).content == CATS  # the bytes they shared are still needed

    store = await client.vector_stores.create(name="Animals", metadata={"team": "a"}, file_ids=[cats.id])
    files = client.vector_stores.files
    assert (await files.poll(cats.id, vector_store_id=store.id, poll_interval_ms=50)).status == "completed"
    cars = await files.upload_and_poll(
        vector_store_id=store.id,
        file=("cars.txt", CARS),
        attributes={"kind": "car", "year": 1999.0},
        poll_interval_ms=50,
    )
    assert (cars.status, cars.last_error, cars.usage_bytes) == ("completed", None, len(CARS))
    empty = await client.files.create(file=("empty.txt", b" "), purpose="assistants")
    failed = await files.create_and_poll(empty.id, vector_store_id=store.id, poll_interval_ms=50)
    assert failed.status == "failed"
    assert failed.last_error is not None
    assert (failed.last_error.code, "no text" in failed.last_error.message) == ("invalid_file", True)
    assert [file.id async for file in files.list(store.id, filter="failed")] == [empty.id]
    store = await client.vector_stores.update(store.id, name="Beasts")
    assert (store.name, store.metadata, store.status) == ("Beasts", {"team": "a"}, "completed")
    assert (store.file_counts.completed, store.file_counts.failed, store.file_counts.total) == (2, 1, 3)
    assert [one.id async for one in client.vector_stores.list()] == [store.id]

    found = (await client.vector_stores.search(store.id, query="vehicles", max_num_results=1)).data
    assert [(hit.file_id, hit.filename) for hit in found] == [(cars.id, "cars.txt")]
    assert found[0].attributes == {"kind": "car", "year": 1999.0}
    assert "petrol" in found[0].content[0].text
    assert 0 < found[0].score <= 1
    newer = {"type": "gt", "key": "year", "value": 1990}
    both = await client.vector_stores.search(store.id, query=["cat", "petrol"], filters=newer)  # type: ignore[arg-type]
    assert {hit.file_id for hit in both.data} == {cars.id}
    await files.update(cars.id, vector_store_id=store.id, attributes={"year": 1980})
    assert not (await client.vector_stores.search(store.id, query="petrol", filters=newer)).data  # type: ignore[arg-type]
    strict = await client.vector_stores.search(
        store.id, query="quantum", ranking_options={"score_threshold": 0.99}
    )
    assert not strict.data
    for query, hits in (("Who painted the Mona Lisa?", []), ("What do cars run on?", [cars.id])):
        some = await client.vector_stores.search(
            store.id, query=query, ranking_options={"score_threshold": 0.5}
        )
        assert [hit.file_id for hit in some.data] == hits
        assert (await client.vector_stores.search(store.id, query=query)).data

    await files.delete(cars.id, vector_store_id=store.id)
    await client.files.delete(cats.id)
    assert [file.id async for file in files.list(store.id)] == [empty.id]
    assert not (await client.vector_stores.search(store.id, query="cat")).data
    assert (await client.vector_stores.delete(store.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.vector_stores.retrieve(store.id)
    assert (await client.files.retrieve(cars.id)).filename == "cars.txt"  # it is only out of the store


async def test_batches(start_node: StartNode) -> None:
    _, client = await start(start_node)
    store = await client.vector_stores.create()
    batches = client.vector_stores.file_batches
    done = await batches.upload_and_poll(
        store.id, files=[("cats.md", CATS), ("cars.txt", CARS)], poll_interval_ms=50
    )
    assert (done.status, done.file_counts.completed, done.file_counts.total) == ("completed", 2, 2)
    listed = [file.id async for file in batches.list_files(done.id, vector_store_id=store.id, limit=1)]
    assert len(set(listed)) == 2
    long = "\n\n".join(f"# Part {n}\n\nSentence number {n}." for n in range(1500)).encode()
    big = await client.files.create(file=("long.md", long), purpose="assistants")
    batch = await batches.create(store.id, files=[{"file_id": big.id, "attributes": {"long": True}}])
    assert batch.status == "in_progress"
    assert (await batches.cancel(batch.id, vector_store_id=store.id)).status == "cancelled"
    again = await batches.retrieve(batch.id, vector_store_id=store.id)
    assert (again.status, again.file_counts.cancelled) == ("cancelled", 1)
    with pytest.raises(openai.NotFoundError):  # all or none
        await batches.create(store.id, file_ids=[listed[0], "file-no"])


async def test_what_is_refused(start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    url, client = await start(start_node, "max_document_bytes = 100000\n")
    with pytest.raises(openai.APIStatusError) as large:
        await client.files.create(file=("big.bin", b"x" * 100_001), purpose="assistants")
    assert (large.value.status_code, large.value.code) == (413, "request_too_large")
    file = await client.files.create(file=("a.txt", b"a"), purpose="assistants")
    store = await client.vector_stores.create()
    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nhalf of it'
    head = {"content-type": "multipart/form-data; boundary=b"}
    for path, sent, param in (
        ("files", {"data": body, "headers": head}, None),
        ("files", {"data": b"", "headers": {"content-type": "multipart/form-data"}}, None),
        ("files", {"data": {"purpose": "assistants", "file": "no name"}}, None),
        ("vector_stores", {"json": {"metadata": {"k" * 65: "v"}}}, "metadata"),
        ("vector_stores", {"json": {"expires_after": {"days": 1}}}, "expires_after.anchor"),
        (
            f"vector_stores/{store.id}/search",
            {"json": {"query": "x", "max_num_results": 51}},
            "max_num_results",
        ),
        (f"vector_stores/{store.id}/search", {"json": {"query": "x", "filters": {"type": "?"}}}, "filters"),
        (
            f"vector_stores/{store.id}/files",
            {"json": {"file_id": file.id, "chunking_strategy": {"type": "static"}}},
            "chunking_strategy",
        ),
        (f"vector_stores/{store.id}/file_batches", {"json": {}}, "file_ids"),
    ):
        async with http.post(f"{url}/v1/{path}", **sent) as response:  # type: ignore[arg-type]
            error = (await response.json())["error"]
            assert response.status in (400, 415), (path, error)
            assert error["param"] == param, (path, error)
    assert [one.id async for one in client.files.list()] == [file.id]
    left = await asyncio.to_thread(lambda: [path.name for path in tmp_path.rglob("*.partial")])
    assert left == []


async def test_another_tenant_sees_nothing(start_node: StartNode) -> None:
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\ntenant = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name in ("one", "two")
    )
    _, client = await start(start_node, f"[auth]\nenabled = true\n{keys}")
    one, two = client.with_options(api_key="one"), client.with_options(api_key="two")
    with pytest.raises(openai.AuthenticationError):
        await client.files.list()
    file = await one.files.create(file=("cats.md", CATS), purpose="assistants")
    store = await one.vector_stores.create(file_ids=[file.id])
    theirs = await two.vector_stores.create()
    files, batches = two.vector_stores.files, two.vector_stores.file_batches
    assert not (await two.files.list()).data
    assert [item.id for item in (await two.vector_stores.list()).data] == [theirs.id]
    for attempt in (
        two.files.retrieve(file.id),
        two.files.content(file.id),
        two.files.delete(file.id),
        two.vector_stores.retrieve(store.id),
        two.vector_stores.update(store.id, name="mine"),
        two.vector_stores.delete(store.id),
        two.vector_stores.search(store.id, query="cat"),
        two.vector_stores.create(file_ids=[file.id]),
        files.create(theirs.id, file_id=file.id),
        files.retrieve(file.id, vector_store_id=store.id),
        files.delete(file.id, vector_store_id=store.id),
        batches.create(theirs.id, file_ids=[file.id]),
    ):
        with pytest.raises(openai.NotFoundError):
            await attempt
    assert [item.id for item in (await two.vector_stores.list()).data] == [theirs.id]  # nothing half made
    assert (await one.files.retrieve(file.id)).id == file.id


async def test_what_goes_while_it_is_read_leaves_nothing(start_node: StartNode) -> None:
    _, client = await start(start_node)
    long = "\n\n".join(f"# Part {n}\n\nSentence number {n}." for n in range(600)).encode()
    file = await client.files.create(file=("long.md", long), purpose="assistants")
    for wait in (False, True):
        store = await client.vector_stores.create(file_ids=[file.id])
        if wait:  # for the job to run
            await client.vector_stores.search(store.id, query="part")
        await client.vector_stores.delete(store.id)
    store = await client.vector_stores.create(file_ids=[file.id])
    await client.files.delete(file.id)
    assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 0
    cats = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("cats.md", CATS), poll_interval_ms=50
    )
    assert cats.status == "completed"  # the worker lives
    assert len((await client.vector_stores.search(store.id, query="part")).data) == 1
