"""Several RagManagers as one, on a real Redis, with the real model: whichever is asked, the answer is the same."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from intellirouter.app.node import Node
from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.memory.open import open_state
from intellirouter.roles.rag_manager.cluster.neighbour import PLACED
from intellirouter.roles.rag_manager.cluster.placement import Placements
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.minilm import minilm
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer, redis_server
from tests.servers.vendor import Play

TOPICS = ["rain", "trains", "bread", "whales", "violins", "taxes", "volcanoes", "chess", "rockets", "bees"]
NOTES = {
    f"{topic}-{n}.md": f"# {topic} {n}\n\nNote {n} is about {topic}." for topic in TOPICS for n in range(4)
}
ANN, BOB = {"authorization": "Bearer ann"}, {"authorization": "Bearer bob"}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@dataclass
class Nodes:
    """RagManagers in this process, each with a data directory of its own; started and stopped one by one."""

    directory: Path
    redis: RedisServer
    more: str = ""
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in "abc"})
    namespace: str = field(default_factory=lambda: f"t{time.monotonic_ns()}")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def toml(self, name: str, known: str) -> str:
        keys = "".join(
            f'[[auth.keys]]\nname = "{key}"\ntenant = "{key}s"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n'
            for key in ("ann", "bob")
        )
        others = "".join(f'{one} = "{self.url(one)}"\n' for one in known)
        nodes = f'node = "{name}"\n{self.more}\n[rag.nodes]\n{others}' if known else ""
        return (
            f'[memory]\nbackend_type = "redis"\nredis_url = "{self.redis.url}"\nnamespace = "{self.namespace}"\n'
            '[ipc.security]\nenabled = true\ntoken = "a-token-of-more-than-32-characters-for-nodes"\n'
            f"[auth]\nenabled = true\n{keys}"
            f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n{nodes}'
        )

    @contextlib.asynccontextmanager
    async def running(self, *names: str, known: str = "abc") -> AsyncIterator[list[Node]]:
        """These nodes, each of which knows those of `known`; alone where it is empty."""
        async with contextlib.AsyncExitStack() as stack:
            started = []
            for name in names:
                file = self.directory / f"{name}.toml"
                file.write_text(self.toml(name, known))
                flags = {
                    ("server", "port"): self.ports[name],
                    ("server", "host"): "127.0.0.1",
                    ("paths", "data_dir"): self.directory / name,
                }
                node = running(load(file, {}, flags), select("RagManager"))
                started.append(await stack.enter_async_context(node))
            yield started


@pytest.fixture
def nodes(tmp_path: Path, redis: RedisServer) -> Nodes:
    return Nodes(tmp_path, redis)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once it does; that takes a moment, and never longer than the deadline."""
    end = time.monotonic() + 60
    while not await holds():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.05)


class Client:
    """Asks each node in turn, as a load balancer would."""

    def __init__(self, http: aiohttp.ClientSession, urls: list[str], key: dict[str, str] = ANN) -> None:
        self._http = http
        self._urls = itertools.cycle(urls)
        self._key = key

    async def ask(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        async with self._http.request(
            method, f"{next(self._urls)}/rag/v1{path}", headers=self._key, **how
        ) as reply:
            return reply.status, json.loads(await reply.read())

    async def get(self, path: str) -> Any:
        status, body = await self.ask("GET", path)
        assert status == 200, body
        return body

    async def ingest(self, collection: str, notes: dict[str, str]) -> None:
        jobs = []
        for name, text in notes.items():
            where = f"/collections/{collection}/documents"
            status, body = await self.ask("POST", where, params={"name": name}, data=text)
            assert status == 202, body
            jobs.append(body["job"])
        for job in jobs:
            async with asyncio.timeout(60):
                url = f"{next(self._urls)}/rag/v1/jobs/{job}/events"
                async with self._http.get(url, headers=self._key) as events:
                    assert '"status":"ready"' in await events.text()

    def is_ready(self, job: str) -> Callable[[], Awaitable[bool]]:
        async def holds() -> bool:
            return bool((await self.get(f"/jobs/{job}"))["status"] == "ready")

        return holds

    async def lists(self) -> bool:
        """All nodes do."""
        status, answer = await self.ask("GET", "/collections")
        return status == 200 and "partial" not in answer

    def finds(self, asked: dict[str, Any]) -> Callable[[], Awaitable[bool]]:
        """An answer from all nodes."""

        async def holds() -> bool:
            status, found = await self.ask("POST", "/retrieve", json=asked)
            return status == 200 and not found["partial"]

        return holds

    async def retrieve(self, query: str, *collections: str, **more: Any) -> Any:
        body = {"query": query, "collections": collections, **more}
        status, answer = await self.ask("POST", "/retrieve", json=body)
        assert status == 200, answer
        return answer


async def test_any_node_takes_any_request(nodes: Nodes, http: aiohttp.ClientSession) -> None:
    names = [f"shelf {n}" for n in range(8)]
    async with nodes.running("a", "b", "c"):
        client = Client(http, [nodes.url(name) for name in "abc"])
        for name in names:
            made = await asyncio.gather(
                *(client.ask("POST", "/collections", json={"name": name}) for _ in "abc")
            )
            assert sorted(status for status, _ in made) == [201, 409, 409], made
        for number, name in enumerate(names):
            await client.ingest(name, {"one.md": f"# One\n\nShelf {number} holds {TOPICS[number]}."})
        for _ in "abc":
            listed = (await client.get("/collections"))["collections"]
            assert [(row["name"], row["documents"]) for row in listed] == [(name, 1) for name in names]
            assert len((await client.get("/jobs"))["jobs"]) == len(names)
        for number, name in enumerate(names):
            for _ in "abc":
                found = await client.retrieve("what does it hold", name)
                assert [one["text"] for one in found["passages"]] == [
                    f"Shelf {number} holds {TOPICS[number]}."
                ]
                assert [
                    row["name"] for row in (await client.get(f"/collections/{name}/documents"))["documents"]
                ] == ["one.md"]
        together = await client.retrieve("a shelf with whales", *names, top_k=8)
        assert TOPICS[3] in together["passages"][0]["text"]
        assert {one["collection"] for one in together["passages"]} == set(names)
        (job,) = [row["id"] for row in (await client.get("/jobs"))["jobs"] if row["collection"] == names[0]]
        for _ in "abc":
            assert (await client.get(f"/jobs/{job}"))["status"] == "ready"
        assert await client.ask("DELETE", f"/collections/{names[0]}/documents/one.md") == (
            200,
            {"deleted": True},
        )
        assert await client.ask("POST", f"/collections/{names[1]}/verify") == (
            200,
            {"missing": 0, "stray": 0},
        )
        assert await client.ask("DELETE", f"/collections/{names[1]}") == (200, {"deleted": True})
        for _ in "abc":
            assert (await client.ask("GET", f"/collections/{names[1]}/documents"))[0] == 404
            for unknown in ("job-0", "..%2Fcollections", "a%3Fb=c%23", "a%0D%0Ab"):
                assert (await client.ask("GET", f"/jobs/{unknown}"))[0] == 404, unknown
        told = Client(
            http, [nodes.url(name) for name in "abc"], {**ANN, PLACED: "a"}
        )  # a client's word for it
        for _ in "abc":
            assert len((await told.get("/collections"))["collections"]) == len(names) - 1
        stranger = Client(http, [nodes.url(name) for name in "abc"], BOB)
        assert (await stranger.get("/collections"))["collections"] == []
        for _ in "abc":
            assert (await stranger.ask("GET", f"/jobs/{job}"))[0] == 404
            answer = await stranger.ask(
                "POST", "/retrieve", json={"query": "shelf", "collections": [names[2]]}
            )
            assert answer[0] == 404, answer
    held = [len(list((nodes.directory / name / "rag" / "blobs").glob("*"))) for name in "abc"]
    assert sum(held) == len(names)
    assert max(held) < len(names), held


async def test_a_split_collection_finds_what_one_node_finds(
    nodes: Nodes, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    alone = Nodes(tmp_path / "alone", nodes.redis)
    alone.directory.mkdir()
    async with nodes.running("a", "b", "c"), alone.running("a", known=""):
        three = Client(http, [nodes.url(name) for name in "abc"])
        one = Client(http, [alone.url("a")])
        assert (await one.ask("POST", "/collections", json={"name": "notes", "split": True}))[0] == 400
        for client, how in ((three, {"split": True}), (one, {})):
            assert (await client.ask("POST", "/collections", json={"name": "notes", **how}))[0] == 201
            await client.ingest("notes", NOTES)
        for topic in TOPICS:
            wanted = await one.retrieve(f"a note about {topic}", "notes", top_k=10, explain=True)
            for _ in "abc":
                found = await three.retrieve(f"a note about {topic}", "notes", top_k=10, explain=True)
                scores = [
                    sorted(
                        (round(row["dense_score"], 5) for row in answer["explanation"]["candidates"]),
                        reverse=True,
                    )
                    for answer in (found, wanted)
                ]
                assert scores[0] == scores[1]
                assert {row["text"] for row in found["passages"][:4]} == {
                    row["text"] for row in wanted["passages"][:4]
                }
        rows = (await three.get("/collections"))["collections"]
        assert [(row["name"], row["documents"], row["chunks"]) for row in rows] == [
            ("notes", len(NOTES), len(NOTES))
        ]
        listed, more = [], True
        while more:  # in pages, whichever nodes they are on
            after = f"&after={listed[-1]}" if listed else ""
            page = await three.get(f"/collections/notes/documents?limit=5{after}")
            listed += [row["name"] for row in page["documents"]]
            more = page["has_more"]
        assert listed == sorted(NOTES)
        for name in ("rain-1.md", "bees-3.md"):
            chunks = (await three.get(f"/collections/notes/documents/{name}/chunks"))["chunks"]
            assert [chunk["text"] in NOTES[name] for chunk in chunks] == [True]
        status, again = await three.ask("POST", "/collections/notes/reindex")
        assert (status, len(again["jobs"])) == (202, len(NOTES))
        for job in again["jobs"]:
            await until(three.is_ready(job))
        assert await three.ask("POST", "/collections/notes/rebuild") == (200, {"written": 0})
        assert await three.ask("DELETE", "/collections/notes") == (200, {"deleted": True})
        assert (await three.ask("POST", "/retrieve", json={"query": "rain", "collections": ["notes"]}))[
            0
        ] == 404
    held = [len(list((nodes.directory / name / "rag" / "blobs").glob("*"))) for name in "abc"]
    assert min(held) > len(NOTES) / 6, held


async def test_files_and_vector_stores_are_the_same_from_every_node(
    nodes: Nodes, http: aiohttp.ClientSession
) -> None:
    line = b"A cat sleeps for most of the day. "
    text = b"# Cats\n\n" + line * 600_000  # more than server.max_body_bytes: a file may be
    async with nodes.running("a", "b", "c"):
        clients = itertools.cycle(
            openai.AsyncOpenAI(base_url=f"{nodes.url(name)}/v1", api_key="ann", max_retries=0, timeout=60)
            for name in "abc"
        )
        files = [
            await next(clients).files.create(
                file=(f"cats{n}.md", text if n == 0 else b"Cats purr."), purpose="assistants"
            )
            for n in range(3)
        ]
        assert {file.id async for file in next(clients).files.list()} == {file.id for file in files}
        assert (await next(clients).files.content(files[0].id)).content == text
        store = await next(clients).vector_stores.create(name="Animals")
        await next(clients).vector_stores.file_batches.create_and_poll(
            store.id, file_ids=[file.id for file in files[1:]], poll_interval_ms=50
        )
        for _ in "abc":
            assert (await next(clients).vector_stores.retrieve(store.id)).file_counts.completed == 2
            (best, *_) = (await next(clients).vector_stores.search(store.id, query="what do cats do")).data
            assert best.content[0].text == "Cats purr."
        native = Client(http, [nodes.url(name) for name in "abc"])
        for _ in "abc":
            (passage, *_) = (await native.retrieve("cats", store.id))["passages"]
            assert passage["metadata"]["filename"].startswith("cats")
        with pytest.raises(openai.BadRequestError):
            await next(clients).files.create(file=("x.md", b"x"), purpose="nothing")  # type: ignore[arg-type]
        assert (await next(clients).vector_stores.delete(store.id)).deleted


async def test_a_router_asks_any_of_them(
    nodes: Nodes, http: aiohttp.ClientSession, start_node: StartNode, start_vendor: StartVendor
) -> None:
    """On behalf of the key that asked the Router: its tenant's collections, wherever they are."""
    vendor = await start_vendor(Play.json(faults.whole()))
    names = [f"shelf {n}" for n in range(6)]
    async with nodes.running("a", "b", "c"):
        client = Client(http, [nodes.url(name) for name in "abc"])
        for number, name in enumerate(names):
            assert (await client.ask("POST", "/collections", json={"name": name}))[0] == 201
            await client.ingest(name, {"one.md": f"Shelf {number} holds {TOPICS[number]}."})
        trusted = "".join(nodes.toml("a", "").partition("[rag]")[0])
        router = await start_node(
            f'{trusted}[ipc]\nrag_manager_endpoint = "{nodes.url("b")}"\n{provider(vendor)}'
        )
        for number, name in enumerate(names):
            question = {"model": "m", "messages": [{"role": "user", "content": "What is there?"}]}
            body = {**question, "rag": {"collections": [name]}}
            url = f"{router.listening[0].url}/v1/chat/completions"
            async with http.post(url, json=body, headers=ANN) as reply:
                assert reply.status == 200, await reply.text()
                assert reply.headers["x-intellirouter-rag"] == "1"
            assert f"Shelf {number} holds {TOPICS[number]}." in vendor.received[-1].body.decode()
            async with http.post(url, json=body, headers=BOB) as reply:
                assert reply.status == 404, await reply.text()


async def test_a_node_away_is_told_or_left_out(nodes: Nodes, http: aiohttp.ClientSession) -> None:
    async with nodes.running("a", "b", "c"):
        client = Client(http, [nodes.url(name) for name in "abc"])
        assert (await client.ask("POST", "/collections", json={"name": "notes", "split": True}))[0] == 201
        await client.ingest("notes", NOTES)
    asked = {"query": "a note about rain", "collections": ["notes"], "top_k": 20}
    async with nodes.running("a", "b"):
        client = Client(http, [nodes.url(name) for name in "ab"])
        status, refused = await client.ask("POST", "/retrieve", json=asked)
        assert status == 503
        expected = f"the RagManager at {nodes.url('c')} does not answer: the connection to it failed"
        assert refused["error"]["message"] == expected
        assert (await client.ask("GET", "/collections"))[0] == 503
        for _ in range(2):  # nothing of what could not be made everywhere is left anywhere
            status, refused = await client.ask("POST", "/collections", json={"name": "new", "split": True})
            assert status == 503, refused
    nodes.more = 'on_shard_error = "partial"'
    async with nodes.running("a", "b"):
        client = Client(http, [nodes.url(name) for name in "ab"])

        async def in_part() -> bool:
            status, found = await client.ask("POST", "/retrieve", json=asked)
            return status == 200 and found["partial"] is True and bool(found["passages"])

        await until(in_part)  # a busy machine takes Redis for away for a moment
        assert (await client.get("/collections"))["partial"] is True
        async with nodes.running("c"):  # back
            await until(client.finds(asked))
            (row,) = (await client.get("/collections"))["collections"]
            assert row["documents"] == len(NOTES)
        for method, path in (
            ("POST", "/reindex"),
            ("POST", "/rebuild"),
            ("DELETE", ""),
        ):  # everywhere, or told
            status, refused = await client.ask(method, f"/collections/notes{path}")
            assert (status, "does not answer" in refused["error"]["message"]) == (503, True), refused
        async with nodes.running("c"):
            await until(client.lists)
            assert await client.ask("DELETE", "/collections/notes") == (200, {"deleted": True})
            assert (await client.get("/collections")) == {"collections": []}
            assert (await client.ask("POST", "/collections", json={"name": "notes", "split": True}))[0] == 201


async def test_a_node_that_joins_moves_nothing(nodes: Nodes, http: aiohttp.ClientSession) -> None:
    """What a node alone has is placed there; a third takes what is made from then on."""
    async with nodes.running("a", known=""):
        client = Client(http, [nodes.url("a")])
        assert (await client.ask("POST", "/collections", json={"name": "old"}))[0] == 201
        await client.ingest("old", {"rain.md": NOTES["rain-1.md"]})
    async with nodes.running("a", "b", known="ab"):
        client = Client(http, [nodes.url("b")])
        await until(client.finds({"query": "rain", "collections": ["old"]}))
        names = [f"shelf {n}" for n in range(6)]
        for name in names:
            assert (await client.ask("POST", "/collections", json={"name": name}))[0] == 201
            await client.ingest(name, {"rain.md": NOTES["rain-1.md"]})
    async with nodes.running("a", "b", "c"):
        client = Client(http, [nodes.url(name) for name in "abc"])
        for name in ("old", *names, *names):
            assert len((await client.retrieve("rain", name))["passages"]) == 1
        assert not list((nodes.directory / "c" / "rag" / "blobs").glob("*"))


async def test_placements_outlive_an_outage_of_the_store(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        section = MemorySection(backend_type="redis", redis_url=server.url)  # type: ignore[arg-type]
        async with open_state(section, tmp_path) as store:
            placements = Placements(store, "abc")
            nodes = await placements.claim("t", "known", split=False)
            home = await placements.settle("t")
            server.kill()

            async def noticed() -> bool:
                await store.get("rag-place:t:known")
                return store.health().status != "healthy"

            await until(noticed)
            assert await placements.find("t", "known") == nodes
            assert await placements.home("t") == home
            for unknown in (
                placements.find("t", "other"),
                placements.claim("t", "new", split=True),
                placements.settle("u"),
            ):
                with pytest.raises(StateUnavailable):
                    await unknown


async def test_one_node_looks_at_a_source_whichever_is_asked(
    nodes: Nodes, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/one.md").write_text("One.")
    nodes.more = (
        f'[[rag.sources]]\nname = "pages"\nkind = "folder"\npath = "{tmp_path}/pages"\ncollection = "kb"\n'
        'tenant = "anns"\ninterval_seconds = 1\n'
    )
    async with nodes.running("a", "b", known="ab"):
        client = Client(http, [nodes.url(name) for name in "ab"])

        async def looked() -> bool:
            last = (await client.get("/sources/pages"))["last"]
            return last is not None and last["outcome"] == "ok"

        await until(looked)  # each node is asked in turn, and answers what the one says that looks
        await until(looked)
        for _ in "ab":
            (row,) = (await client.get("/sources"))["sources"]
            assert (row["name"], row["documents"], row["last"] is not None) == ("pages", 1, True)
            (collection,) = (await client.get("/collections"))["collections"]
            assert (collection["name"], collection["documents"]) == ("kb", 1)
        (tmp_path / "pages/two.md").write_text("Two.")
        assert (await client.ask("POST", "/sources/pages/sync"))[0] == 202

        async def came() -> bool:
            rows = (await client.get("/collections/kb/documents"))["documents"]
            return [row["status"] for row in rows] == ["ready", "ready"]

        await until(came)
        bob = Client(http, [nodes.url("a")], BOB)
        assert (await bob.get("/sources"))["sources"] == []
        assert (await bob.ask("POST", "/sources/pages/sync"))[0] == 404
