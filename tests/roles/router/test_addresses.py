"""What is said at addresses that are not quite right, and in which dialect; lists of models in pages."""

from __future__ import annotations

from typing import Any

import aiohttp
import anthropic
import pytest
from google import genai
from google.genai import types as google_types

from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults

ASK: dict[str, Any] = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
EMBED: dict[str, Any] = {"model": "nowhere", "input": "a"}
PROMPT: dict[str, Any] = {"model": "primary/m", "prompt": "Hi"}
CONTENTS: dict[str, Any] = {"contents": [{"parts": [{"text": "Hi"}]}]}
OPENAI, ANTHROPIC = {"user-agent": "x"}, {"anthropic-version": "2023-06-01"}
GOOGLE = {"x-goog-api-key": "k"}
LONG = f"limit={'0' * 5_000}"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/v1/chat/completions", ASK, 200),  # both the base address and the client have the version
        ("/v1/v1/messages", ASK, 200),
        ("/v1/v1//messages/", ASK, 200),
        ("/v1/v1/v1/messages", ASK, 200),
        ("/v1/v1beta/models/primary/m:generateContent", CONTENTS, 200),
        ("/v1/api/chat", {**ASK, "stream": False}, 200),
        ("/v1beta1/publishers/google/models/primary/m:generateContent", CONTENTS, 200),  # as at Vertex
        ("/v1/projects/p/locations/l/publishers/google/models/primary/m:generateContent", CONTENTS, 200),
        ("/messages", ASK, 200),  # neither has it
        ("/completions", PROMPT, 200),
        ("/embeddings", EMBED, 404),
        ("/v1/v1/nothing", ASK, 404),
        ("/admin", ASK, 404),
        ("/v1/v1/v1/v1", ASK, 404),
        ("/v1" * 2000 + "/messages", ASK, 404),
    ],
)
async def test_a_version_too_many_or_too_few_leads_to_the_same_place(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    path: str,
    body: dict[str, Any],
    status: int,
) -> None:
    url = (await start_node(provider(await start_vendor(faults.healthy)))).listening[0].url
    for _ in range(2):
        async with http.post(f"{url}{path}", json=body) as reply:
            told = await reply.text()
            assert reply.status == status, told
        assert ("word59" in told) == (status == 200)
    if path == "/embeddings":
        assert "The model 'nowhere' does not exist" in told


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "allow", "dialect"),
    [
        ("GET", "/v1/chat/completions", OPENAI, 405, "POST", "openai"),
        ("PUT", "/v1/responses/resp_1", OPENAI, 405, "DELETE, GET, HEAD", "openai"),
        ("DELETE", "/v1/models/primary/m", OPENAI, 405, "GET, HEAD", "openai"),
        ("POST", "/v1/batches", OPENAI, 404, None, "openai"),
        ("GET", "/v1/models/nowhere", OPENAI, 404, None, "openai"),
        ("GET", "/v1/models/nowhere:latest", OPENAI, 404, None, "openai"),
        ("GET", "/v1/models/nowhere", ANTHROPIC, 404, None, "anthropic"),
        ("GET", "/v1/messages", ANTHROPIC, 405, "POST", "anthropic"),
        ("POST", "/v1/messages/batches", ANTHROPIC, 404, None, "anthropic"),
        ("GET", "/v1/models/nowhere", GOOGLE, 404, None, "gemini"),
        ("POST", "/v1beta/cachedContents", GOOGLE, 404, None, "gemini"),
        ("POST", "/v1beta1/projects/p/locations/l/endpoints/e:predict", OPENAI, 404, None, "gemini"),
        ("POST", "/v1beta/models/primary/m:nothing", OPENAI, 404, None, "gemini"),
        ("PUT", "/v1beta/models/primary/m:generateContent", OPENAI, 405, "GET, HEAD, POST", "gemini"),
        ("POST", "/api/pull", OPENAI, 404, None, "ollama"),
        ("GET", "/api/chat", OPENAI, 405, "POST", "ollama"),
    ],
)
async def test_whoever_asks_at_the_wrong_address_is_told_so_in_the_right_words(
    start_node: StartNode,
    http: aiohttp.ClientSession,
    start_vendor: StartVendor,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    allow: str | None,
    dialect: str,
) -> None:
    url = (await start_node(provider(await start_vendor(faults.healthy)))).listening[0].url
    async with http.request(method, f"{url}{path}", headers=headers) as reply:
        assert (reply.status, reply.headers.get("allow")) == (status, allow)
        told = await reply.json()
        assert reply.headers["x-request-id"]
    match dialect:
        case "openai":
            assert told["error"]["type"] in ("invalid_request_error", "not_found_error")
            assert "type" not in told
        case "anthropic":
            assert told["type"] == "error"
            assert told["error"]["message"]
        case "gemini":
            assert told["error"]["code"] == status
        case _:
            assert isinstance(told["error"], str)


async def test_lists_of_models_come_in_pages_where_a_dialect_has_them(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(faults.healthy)
    toml = provider(vendor).replace('models = ["m"]', 'models = ["a", "b", "c", "d", "e"]')
    url = (await start_node(toml)).listening[0].url

    async def ask(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        async with http.get(f"{url}{path}", headers=headers) as reply:
            return reply.status, await reply.json()

    every = [model["id"] for model in (await ask("/v1/models", OPENAI))[1]["data"]]
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
        assert [model.id async for model in client.models.list(limit=2)] == every
        first = await client.models.list(limit=2)
        assert (len(first.data), first.has_more) == (2, True)
        assert [model.id async for model in client.models.list(limit=2, before_id=every[3])] == [
            *every[1:3],
            every[0],
        ]
    google = genai.Client(api_key="k", http_options=google_types.HttpOptions(base_url=url))
    pages = await google.aio.models.list(config={"page_size": 2})
    assert len(pages.page) == 2
    assert [model.name async for model in pages] == [f"models/{name}" for name in every]
    for query in ("limit=0", "limit=x", "after_id=nowhere", "before_id=nowhere", "limit=1001", LONG):
        status, told = await ask(f"/v1/models?{query}", ANTHROPIC)
        assert (status, told["type"]) == (400, "error"), told
    for query in ("pageSize=-1", "pageSize=x", "pageToken=x", LONG.replace("limit", "pageSize")):
        status, told = await ask(f"/v1beta/models?{query}", GOOGLE)
        assert (status, told["error"]["status"]) == (400, "INVALID_ARGUMENT"), told
    for path, name in (("/v1/models/primary/a/", "id"), ("/v1/models/primary%2Fa", "id")):
        assert (await ask(path, OPENAI))[1][name] == "primary/a"
