"""`/rag/v1`: a job can be followed, and what a document was cut into can be read."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode
from tests.e2e.test_nodes import ingest
from tests.roles.router.test_records import recorded
from tests.servers.minilm import minilm
from tests.servers.process import node_process

TEXT = "\n\n".join(f"# Part {n}\n\nNote {n} is about the number {n}." for n in range(250))
JOB_FIELDS = {
    "id",
    "status",
    "done",
    "total",
    "error",
    "note",
    "created",
    "updated",
    "document",
    "collection",
}


@pytest.fixture
async def url(start_node: StartNode, http: aiohttp.ClientSession) -> str:
    """A RagManager with one empty collection."""
    toml = f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n'
    node = await start_node(toml, role="RagManager")
    address = node.listening[0].url
    async with http.post(f"{address}/rag/v1/collections", json={"name": "docs"}) as reply:
        assert reply.status == 201
    return f"{address}/rag/v1"


async def followed(url: str, http: aiohttp.ClientSession, job: str) -> list[tuple[str, Any]]:
    """The events of a job, until the server ends the stream."""
    async with http.get(f"{url}/jobs/{job}/events") as reply:
        assert reply.content_type == "text/event-stream"
        text = await reply.text()
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if not block.startswith(":")]
    return [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in blocks
    ]


async def test_a_job_is_followed_to_its_end(url: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{url}/collections/docs/documents?name=a/notes.md", data=TEXT) as reply:
        assert reply.status == 202
        job = (await reply.json())["job"]
    events = await followed(url, http, job)
    assert [name for name, _ in events[-2:]] == ["job", "job_ended"]
    assert {name for name, _ in events[:-1]} == {"job"}
    last = events[-1][1]
    assert last.keys() == JOB_FIELDS
    assert (last["status"], last["done"], last["document"]) == ("ready", last["total"], "a/notes.md")
    assert [name for name, _ in await followed(url, http, job)] == ["job_ended"]  # over long ago
    async with http.get(f"{url}/jobs/job-none/events") as reply:
        assert reply.status == 404

    chunks: list[dict[str, Any]] = []
    more = True
    while more:
        after = chunks[-1]["position"] if chunks else -1
        where = f"{url}/collections/docs/documents/a/notes.md/chunks?limit=100&after={after}"
        async with http.get(where) as reply:
            page = await reply.json()
        chunks, more = chunks + page["chunks"], page["has_more"]
    assert len(chunks) == last["total"] > 100
    assert [chunk["position"] for chunk in chunks] == sorted({chunk["position"] for chunk in chunks})
    assert all(chunk["ready"] for chunk in chunks)
    assert all(any(f"number {n}." in chunk["text"] for chunk in chunks) for n in range(250))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("collections/docs/documents/none/chunks", 404),
        ("collections/none/documents/a/chunks", 404),
        ("collections/docs/documents/none/chunks?limit=0", 400),
        ("collections/docs/documents/none/chunks?limit=1001", 400),
        ("collections/docs/documents/none/chunks?after=x", 400),
    ],
)
async def test_what_is_not_there_is_said(
    path: str, status: int, url: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{url}/{path}") as reply:
        assert reply.status == status
        assert (await reply.json())["error"]["message"]


async def test_what_a_question_needs_is_opened_at_the_start_where_there_is_anything_to_find(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    environment = {
        "INTELLIROUTER__SERVER__HOST": "127.0.0.1",
        "INTELLIROUTER__SERVER__PORT": "0",
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__RAG__EMBEDDING_MODEL_PATH": str(minilm()),
    }
    for before in ("nothing", "something"):
        async with node_process("--role", "RagManager", environment=environment) as node:
            url = await node.url()
            if before == "nothing":
                async with http.get(f"{url}/health") as reply:
                    assert reply.status == 200
                assert not [line for line in node.lines if line["event"] == "vectors.child_started"]
                await ingest(http, url, {})
            await node.event("vectors.child_started")  # by itself, the second time
            node.signal(signal.SIGTERM)
            assert await node.wait() == 0
    environment["INTELLIROUTER__RAG__EMBEDDING_MODEL_PATH"] = str(tmp_path / "none")
    async with node_process("--role", "RagManager", environment=environment) as node:
        url = await node.url()
        assert "none" in (await node.event("rag.not_ready"))["reason"]
        async with http.get(f"{url}/rag/v1/collections") as reply:
            assert reply.status == 200


@pytest.mark.parametrize(("collection", "status", "said"), [("nope", 404, "'nope'"), ("docs", 503, "none")])
async def test_without_a_model_a_question_to_what_is_not_there_is_told_that(
    start_node: StartNode,
    tmp_path: Path,
    http: aiohttp.ClientSession,
    collection: str,
    status: int,
    said: str,
) -> None:
    node = await start_node(f'[rag]\nembedding_model_path = "{tmp_path}/none"\n', role="RagManager")
    url = f"{node.listening[0].url}/rag/v1"
    async with http.post(f"{url}/collections", json={"name": "docs"}) as reply:
        assert reply.status == 201
    async with http.post(f"{url}/retrieve", json={"query": "x", "collections": [collection]}) as reply:
        assert reply.status == status
        assert said in (await reply.json())["error"]["message"]


async def test_who_waits_for_a_job_leaves_no_rows(
    start_node: StartNode, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    data = tmp_path / "data"
    node = await start_node(
        f'[rag]\nembedding_model_path = "{tmp_path}/none"\n', role="RagManager", data_dir=data
    )
    url = f"{node.listening[0].url}/rag/v1"
    async with http.post(f"{url}/collections", json={"name": "docs"}) as reply:
        assert reply.status == 201
    async with http.post(f"{url}/collections/docs/documents?name=a", data=b"Words.") as reply:
        job = (await reply.json())["job"]
    await followed(url, http, job)
    async with http.get(f"{url}/jobs/{job}") as reply:
        assert reply.status == 200
    async with http.get(f"{url}/collections") as reply:
        assert reply.status == 200
    router = await start_node(data_dir=data)

    def last(rows: list[Any]) -> bool:
        return any(row["endpoint"] == "rag_collections" for row in rows)

    rows = await recorded(http, router, until=last)
    assert {row["endpoint"] for row in rows if row["endpoint"].startswith("rag_")} == {
        "rag_create",
        "rag_submit",
        "rag_collections",
    }
