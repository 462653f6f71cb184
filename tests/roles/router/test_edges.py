"""Where clients and providers are less than tidy: redirects, addresses, keys in them, dates, Ollama's habits."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest

from intellirouter.security.api_keys import hash_key
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play

CHAT = '[[model_registry.models]]\nname = "chat"\nstrategy = "fallback"\ntargets = ["primary/m", "two/m"]\n'
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
KEY = "sk-of-google-style"
AUTH = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "g"\ntenant = "t"\nscopes = ["inference"]\nsha256 = "{hash_key(KEY)}"\n'


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("kind", ["openai_compatible", "anthropic", "google", "ollama"])
async def test_a_redirect_is_said_to_be_one_and_another_target_answers(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, status: int, kind: str
) -> None:
    place = "https://user:pass@elsewhere.example/v1/x?key=secret"
    moved = await start_vendor(Play([b"<html>moved</html>"], status, {"location": place}))
    two = await start_vendor(faults.healthy)
    url = (await start_node(provider(moved, kind=kind) + provider(two, name="two") + CHAT)).listening[0].url
    for stream in (False, True):
        async with http.post(
            f"{url}/v1/chat/completions", json={"model": "chat", "stream": stream, **ASK}
        ) as reply:
            assert reply.status == 200
            assert reply.headers["x-intellirouter-provider"] == "two"
    assert len(moved.received) == 2, "asked once each time"
    async with http.post(f"{url}/v1/chat/completions", json={"model": "primary/m", **ASK}) as reply:
        error = (await reply.json())["error"]
        assert reply.status == 502
    assert error["code"] == "upstream_redirected"
    assert f"{status}, a redirect to https://elsewhere.example/v1/x." in error["message"]
    assert "secret" not in json.dumps(error)
    assert "pass@" not in json.dumps(error)
    async with http.get(f"{url}/metrics") as reply:
        assert 'circuit_breaker_state{target="primary/m"} 0.0' in await reply.text()


async def test_a_date_to_wait_for_counts_from_now_where_the_answer_has_none(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    soon = formatdate(time.time() + 300, usegmt=True)
    vendor = await start_vendor(faults.error(429, "slow down", **{"retry-after": soon}))
    url = (await start_node(provider(vendor))).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json={"model": "primary/m", **ASK}) as reply:
        assert reply.status == 429
    assert len(vendor.received) == 1, "it asks for more than anybody waits"


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "//v1/chat/completions", "/v1//chat/completions//?x=1"]
)
async def test_slashes_too_many_lead_to_the_same_place(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, path: str
) -> None:
    url = (await start_node(provider(await start_vendor(faults.healthy)))).listening[0].url
    for _ in range(2):
        async with http.post(f"{url}{path}", json={"model": "primary/m", **ASK}) as reply:
            assert reply.status == 200, await reply.text()
    async with http.post(f"{url}/v1/nothing/", json={}) as reply:
        assert reply.status == 404
    async with http.get(f"{url}/v1/chat/completions/") as reply:
        assert reply.status in (404, 405)


async def test_googles_key_may_stand_in_the_address(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    capfd: pytest.CaptureFixture[str],
) -> None:
    vendor = await start_vendor(faults.healthy)
    url = (await start_node(provider(vendor) + AUTH)).listening[0].url
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    at = f"{url}/v1beta/models/primary/m:generateContent"
    async with http.post(f"{at}?key={KEY}", json=body) as reply:
        assert reply.status == 200, await reply.text()
    async with http.post(
        f"{url}/v1beta/models/primary/m:streamGenerateContent?alt=sse&key={KEY}", json=body
    ) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert "word59" in await reply.text()
    async with http.get(f"{url}/v1beta/models?key={KEY}") as reply:
        assert (await reply.json())["models"]
    async with http.post(f"{at}?key=wrong", json=body) as reply:
        assert reply.status == 401
    async with http.post(at, json=body) as reply:
        assert reply.status == 401
        assert "x-goog-api-key" in await reply.text()
    assert all(KEY not in request.path and KEY not in str(request.headers) for request in vendor.received)
    told = capfd.readouterr()
    assert KEY not in told.out + told.err


async def test_ollamas_habits(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(faults.healthy)
    url = (await start_node(provider(vendor) + CHAT.replace(', "two/m"', ""))).listening[0].url

    async def ask(path: str, status: int = 200, **body: Any) -> dict[str, Any]:
        async with http.post(f"{url}{path}", json=body) as reply:
            assert reply.status == status, await reply.text()
            found: dict[str, Any] = await reply.json(content_type=None)
            return found

    async with http.get(f"{url}/api/version") as reply:
        version = tuple(map(int, (await reply.json())["version"].split(".")))
    assert version >= (0, 6, 4)
    for name in ("chat", "chat:latest", "primary/m:latest"):
        answer = await ask("/api/chat", model=name, stream=False, **ASK)
        assert "word59" in answer["message"]["content"]
        assert (await ask("/api/show", model=name))["capabilities"]
        assert "word59" in (await ask("/api/generate", model=name, prompt="x", stream=False))["response"]
    await ask("/api/chat", 404, model="chat:7b", stream=False, **ASK)
    before = len(vendor.received)
    assert (await ask("/api/chat", model="chat"))["done_reason"] == "load"
    assert (await ask("/api/chat", model="chat", messages=[], keep_alive=0))["done_reason"] == "unload"
    assert (await ask("/api/generate", model="chat:latest", keep_alive=0))["done_reason"] == "unload"
    assert len(vendor.received) == before
