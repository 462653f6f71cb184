"""Files and vector stores at the Router's address: one client is enough, whatever process the RagManager is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.e2e.test_callers import answering, world
from tests.minutes import room_in_this_minute
from tests.servers.installation import Form, configured_key, installed
from tests.servers.minilm import minilm
from tests.servers.redis import redis_server
from tests.servers.vendor import Play

TEXT = b"Coal is black and burns well. It was formed from plants."


def form(data: bytes, name: str) -> aiohttp.FormData:
    made = aiohttp.FormData()
    made.add_field("purpose", "assistants")
    made.add_field("file", data, filename=name, content_type="text/plain")
    return made


@pytest.mark.parametrize("kind", ["one", "http", "grpc"])
async def test_the_router_serves_files_and_vector_stores(kind: Form, tmp_path: Path) -> None:
    keys = (
        configured_key("ann")
        + configured_key("bob", tenant="other")
        + configured_key("nobody", scopes="audit")
    )
    more = f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n'
    async with installed(kind, tmp_path, f"{more}[auth]\nenabled = true\n{keys}") as house:

        async def ask(key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
            if isinstance(body, aiohttp.FormData):
                return await house.ask("Router", key, method, path, data=body)
            return await house.ask("Router", key, method, path, body)

        status, file = await ask("ann", "POST", "/v1/files", form(TEXT, "coal.txt"))
        assert status == 200, file
        assert (await ask("ann", "GET", "/v1/files"))[1]["data"][0]["id"] == file["id"]
        assert (await ask("ann", "GET", "/v1/files?purpose=batch"))[1]["data"] == []
        assert (await ask("ann", "GET", f"/v1/files/{file['id']}"))[1]["filename"] == "coal.txt"
        assert (await ask("ann", "GET", f"/v1/files/{file['id']}/content"))[1] == TEXT.decode()
        # the same as at the RagManager itself
        assert (await house.ask("RagManager", "ann", "GET", f"/v1/files/{file['id']}"))[1]["id"] == file["id"]
        status, store = await ask("ann", "POST", "/v1/vector_stores", {"name": "kb"})
        assert status == 200, store
        status, _ = await ask(
            "ann", "POST", f"/v1/vector_stores/{store['id']}/files", {"file_id": file["id"]}
        )
        assert status == 200
        ranked = {"query": "What burns?", "documents": ["A dog barks.", "Coal burns well."]}
        status, told = await ask("ann", "POST", "/v1/rerank", ranked)
        assert status == 200, told
        assert told["results"][0]["index"] == 1
        assert (await ask("nobody", "POST", "/v1/rerank", ranked))[0] == 403
        if kind != "one":  # there it is written as it comes, here it is handed on whole
            large = TEXT * 300_000
            status, told = await ask("ann", "POST", "/v1/files", form(large, "coal.txt"))
            assert (status, "server.max_body_bytes" in told["error"]["message"]) == (413, True), told
            assert "/v1/uploads" in told["error"]["message"]
        # another tenant, no key, a key that may not, another method, another path
        assert (await ask("bob", "GET", f"/v1/files/{file['id']}"))[0] == 404
        assert (await ask("bob", "GET", "/v1/files"))[1]["data"] == []
        assert (await ask("wrong", "GET", "/v1/files"))[0] == 401
        assert (await ask("nobody", "GET", "/v1/files"))[0] == 403
        assert (await ask("ann", "PUT", "/v1/files"))[0] == 405
        assert (await ask("ann", "GET", "/v1/filesystem"))[0] == 404
        assert (await ask("ann", "GET", f"/v1/files/{file['id']}/../../../admin/keys"))[0] in (401, 403, 404)
        assert (await ask("ann", "DELETE", f"/v1/files/{file['id']}"))[1]["deleted"] is True


async def test_without_a_ragmanager_it_says_so(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    node = await start_node()
    asked = f"{node.listening[0].url}/v1/files"
    async with http.get(asked, headers={"x-request-id": "mine"}) as reply:
        assert (reply.status, reply.headers["x-request-id"]) == (404, "mine")
        assert "The RagManager is not part of this installation." in (await reply.json())["error"]["message"]


async def test_an_answer_that_breaks_is_no_whole_one(
    start_node: StartNode, http: aiohttp.ClientSession, start_vendor: StartVendor
) -> None:
    """Whatever was written before: nobody takes a piece of a file for the file."""
    rag = await start_vendor(Play([b"half"], headers={"content-type": "text/plain"}, end="reset"))
    node = await start_node(f'[ipc]\nrag_manager_endpoint = "{rag.url}"\n')
    async with http.get(f"{node.listening[0].url}/v1/files/file-1/content") as reply:
        assert reply.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


@pytest.mark.parametrize("kind", ["one", "grpc"])  # the door is the same before HTTP
async def test_a_keys_own_bounds_hold_for_what_is_handed_on(
    kind: Form, tmp_path: Path, start_vendor: StartVendor
) -> None:
    """Also where the role behind the Router takes its word for who asks."""
    with redis_server(tmp_path / "redis") as redis:
        async with installed(kind, tmp_path / "nodes", world(await start_vendor(answering), redis)) as house:

            async def statuses(key: str, times: int = 1) -> list[int]:
                paths = [path for path in ("/v1/files", "/v1/vector_stores") for _ in range(times)]
                return [(await house.ask("Router", key, "GET", path))[0] for path in paths]

            assert await statuses(await house.make_key("free")) == [200, 200]
            assert await statuses(await house.make_key("chat", endpoints=["/v1/chat/*"])) == [403, 403]
            assert await statuses(await house.make_key("away", addresses=["10.0.0.0/8"])) == [403, 403]
            assert await statuses(await house.make_key("none", max_parallel=0)) == [429, 429]
            # which counts the questions whether the key is known, that `make_key` asks
            few = await house.make_key("few", requests_per_minute=3)
            await room_in_this_minute(20)
            found = await statuses(few, 3)
            assert found.count(200) <= 3 and found[-1] == 429, found
            assert (await house.ask("RagManager", few, "GET", "/rag/v1/collections"))[0] == 429
