"""The response cache through the Router: hits, tenants, wishes, single flight, stale and canned answers."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.delta import Finish, StreamEvent, TextDelta
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.inference.cache.entry import joined
from intellirouter.inference.cache.key import Wishes, cache_key, wishes_of
from intellirouter.security.caller import Caller
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.redis import redis_server
from tests.servers.vendor import Play, Vendor

BODY: dict[str, Any] = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}]}
CACHE = "[cache]\nenabled = true\n"
WHO = Caller(tenant="t")


class Client:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self.url = url

    async def ask(self, *, secret: str = "", control: str = "", **more: Any) -> tuple[str | None, str]:
        """What the cache says, and the body."""
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        if control:
            headers["cache-control"] = control
        async with self._http.post(
            f"{self.url}/v1/chat/completions", json={**BODY, **more}, headers=headers
        ) as reply:
            text = await reply.text()
            return reply.headers.get("x-intellirouter-cache"), text


async def test_the_same_question_is_asked_once_whole_and_streamed(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(faults.healthy)
    client = Client(http, (await start_node(provider(vendor) + CACHE)).listening[0].url)
    for stream in (False, True):
        (first, one), (second, two) = await client.ask(stream=stream), await client.ask(stream=stream)
        assert (first, second) == ("miss", "hit")
        assert "word59" in one
        if stream:
            assert two.rstrip().endswith("data: [DONE]")
            assert faults.TEXT in two.replace('"},"finish', "")
        else:
            assert faults.TEXT in two
    assert len(vendor.received) == 2
    assert (await client.ask(user="somebody else"))[0] == "hit"  # who asks is not what is asked
    assert (await client.ask(temperature=0.5))[0] == "miss"
    assert (await client.ask(control="no-cache"))[0] == "miss"
    assert (await client.ask(control="max-age=0"))[0] == "miss"
    assert (await client.ask(intellirouter={"cache_control": "no-store"}))[0] == "miss"


async def test_no_tenant_is_given_anothers_answer(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(faults.healthy)
    keys = "[auth]\nenabled = true\n" + "".join(
        f'[[auth.keys]]\nname = "{name}"\ntenant = "{name[0]}"\nscopes = ["inference", "admin"]\n'
        f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name in ("a1", "a2", "b1", "a-none")
    )
    keys += "[limits.keys.a-none]\nrequests_per_minute = 0\n"
    client = Client(http, (await start_node(provider(vendor) + CACHE + keys)).listening[0].url)
    assert [(await client.ask(secret=name))[0] for name in ("a1", "a2", "b1")] == ["miss", "hit", "miss"]
    how, refused = await client.ask(secret="a-none")  # a kept answer is an answer: none are allowed
    assert (how, "none are allowed" in refused) == (None, True)
    headers = {"authorization": "Bearer a1"}
    async with http.get(f"{client.url}/admin/cache", headers=headers) as reply:
        stats = await reply.json()
        assert (stats["hits"], stats["misses"], stats["entries"]) == (1, 2, 2)
    async with http.delete(f"{client.url}/admin/cache", headers=headers) as reply:
        assert await reply.json() == {"cleared": 2}
    assert (await client.ask(secret="a1"))[0] == "miss"


async def test_many_who_ask_together_are_one_question(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(faults.slow_first_token(0.2))
    client = Client(http, (await start_node(provider(vendor) + CACHE)).listening[0].url)
    answers = await asyncio.gather(*(client.ask() for _ in range(20)))
    assert len(vendor.received) == 1
    assert sorted(how or "" for how, _ in answers) == ["hit"] * 19 + ["miss"]


async def test_a_second_router_finds_what_the_first_kept(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Any
) -> None:
    vendor = await start_vendor(faults.healthy)
    with redis_server(tmp_path / "redis") as redis:
        toml = provider(vendor) + CACHE + f'[memory]\nbackend_type = "redis"\nredis_url = "{redis.url}"\n'
        one, two = [Client(http, (await start_node(toml)).listening[0].url) for _ in range(2)]
        assert [(await client.ask())[0] for client in (one, two, two)] == ["miss", "hit", "hit"]
        redis.kill()
        assert (await two.ask())[0] == "hit"
        assert (await two.ask(temperature=1))[0] == "miss"


@pytest.mark.parametrize("stream", [True, False])
async def test_when_everything_is_down_an_old_answer_or_the_canned_one_is_given_and_marked(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, stream: bool
) -> None:
    down = False
    vendor: Vendor = await start_vendor(
        lambda request: faults.error(503, "down") if down else faults.healthy(request)
    )
    toml = provider(vendor) + CACHE + 'ttl = 0.05\ncanned_answer = "Please try again later."\n'
    client = Client(http, (await start_node(toml)).listening[0].url)
    assert (await client.ask(stream=stream))[0] == "miss"
    down = True
    await asyncio.sleep(0.06)
    how, text = await client.ask(stream=stream)
    assert how == "stale"
    assert "word59" in text
    body, before = {**BODY, "stream": stream, "seed": 1}, len(vendor.received)
    async with http.post(f"{client.url}/v1/chat/completions", json=body) as reply:
        assert reply.headers["x-intellirouter-canned"] == "true"
        assert int(reply.headers["x-intellirouter-attempts"]) == len(vendor.received) - before > 0
        assert "Please try again later." in await reply.text()


async def test_a_refused_request_is_neither_kept_nor_papered_over(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(faults.error(400, "no such parameter"), Play.json(faults.whole()))
    toml = provider(vendor) + CACHE + 'canned_answer = "x"\n'
    client = Client(http, (await start_node(toml)).listening[0].url)
    assert "no such parameter" in (await client.ask())[1]
    assert (await client.ask())[0] == "miss"


def request(text: str = "hi", **more: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message("user", (Text(text),)),), **more)


def test_the_key_tells_apart_what_differs_and_holds_no_prompt() -> None:
    one = cache_key(request(), WHO, "m")
    assert len(one) == 64
    assert one == cache_key(request(user="u", metadata={"a": 1}), WHO, "m")
    others = {
        cache_key(request("ho"), WHO, "m"),
        cache_key(request(), Caller(tenant="t2"), "m"),
        cache_key(request(), Caller(tenant="t", models=("m",)), "m"),
        cache_key(request(), WHO, "m2"),
        cache_key(request(stream=True), WHO, "m"),
        cache_key(request(seed=1), WHO, "m"),
        cache_key(request(extra={"a": 1}), WHO, "m"),
    }
    assert len(others) == 7
    assert one not in others
    assert cache_key(request(extra={"a": 1, "b": 2}), WHO, "m") == cache_key(
        request(extra={"b": 2, "a": 1}), WHO, "m"
    )


@pytest.mark.parametrize(
    ("control", "wishes"),
    [
        (None, Wishes()),
        ("no-cache", Wishes(read=False)),
        ("No-Store", Wishes(read=False, write=False)),
        ("max-age=60, x=y", Wishes(max_age=60)),
        ("max-age=soon", Wishes()),
        ("max-age=²", Wishes()),
    ],
)
def test_cache_control(control: str | None, wishes: Wishes) -> None:
    assert wishes_of(control) == wishes


@given(st.lists(st.lists(st.text(max_size=5), max_size=4), max_size=6))
def test_a_kept_stream_says_what_the_live_one_said(groups: list[list[str]]) -> None:
    events = [
        StreamEvent(tuple(TextDelta(text, block=i % 2) for text in group)) for i, group in enumerate(groups)
    ]
    deltas = joined([*events, StreamEvent((Finish("stop"),))])
    for block in (0, 1):
        said = "".join(
            d.text for e in events for d in e.deltas if isinstance(d, TextDelta) and d.block == block
        )
        assert said == "".join(d.text for d in deltas if isinstance(d, TextDelta) and d.block == block)
    assert deltas[-1] == Finish("stop")
