"""Three Routers on one Redis, asked over HTTP: what is limited is limited for all of them together."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.minutes import room_in_this_minute
from tests.servers import fault_vendor as faults
from tests.servers.redis import redis_server
from tests.servers.vendor import Play

ROUTERS = 3
TOKENS = 100
"""What each answer uses."""

StartThree = Callable[[str], Awaitable[list[str]]]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def start_three(start_node: StartNode, redis_url: str) -> StartThree:
    async def start(toml: str) -> list[str]:
        namespace = f"t{time.monotonic_ns()}"
        toml += f'[memory]\nbackend_type = "redis"\nredis_url = "{redis_url}"\nnamespace = "{namespace}"\n'
        return [(await start_node(toml)).listening[0].url for _ in range(ROUTERS)]

    return start


def answer(after: float = 0.0) -> Play:
    whole = faults.whole()
    whole["usage"] = {"prompt_tokens": 10, "completion_tokens": TOKENS - 10, "total_tokens": TOKENS}
    play = Play.json(whole)
    play.pieces = (after, *play.pieces)
    return play


def model(**more: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'[[model_registry.models]]\nname = "chat"\ntargets = ["primary/m"]\n{lines}'


async def ask(
    http: aiohttp.ClientSession, url: str, max_tokens: int, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    body = {
        "model": "chat",
        "messages": [{"role": "user", "content": "Say the words"}],
        "max_tokens": max_tokens,
    }
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        return reply.status, await reply.json()


@pytest.mark.parametrize("at_once", [1, 12])
async def test_a_token_limit_admits_what_it_says(
    at_once: int, start_three: StartThree, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """10,000 tokens per minute admit 9,500 to 10,000, whether requests come one by one or many at once."""
    vendor = await start_vendor(answer())
    limits = "[limits.models]\nchat = { tokens_per_minute = 10_000 }\n"
    urls = await start_three(provider(vendor) + model() + limits)
    await room_in_this_minute()
    statuses: Counter[int] = Counter()

    async def client(number: int) -> None:
        refused = 0
        while refused < 2 * ROUTERS:
            status, _ = await ask(http, urls[number % ROUTERS], max_tokens=TOKENS)
            statuses[status] += 1
            refused = refused + 1 if status == 429 else 0
            number += 1

    await asyncio.gather(*(client(number) for number in range(at_once)))
    assert set(statuses) == {200, 429}
    assert 9_500 <= statuses[200] * TOKENS <= 10_000


async def test_a_request_limit_admits_what_it_says(
    start_three: StartThree, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(answer())
    urls = await start_three(provider(vendor) + model() + "[limits.each_key]\nrequests_per_minute = 60\n")
    await room_in_this_minute()
    replies = await asyncio.gather(*(ask(http, urls[number % ROUTERS], 9) for number in range(150)))
    statuses = Counter(status for status, _ in replies)
    assert set(statuses) == {200, 429}
    assert 57 <= statuses[200] <= 60


async def test_two_hundred_at_once_do_not_overspend_a_budget_of_ten(
    start_three: StartThree, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """Ten dollars, a dollar an answer: at most one reservation beyond."""
    vendor = await start_vendor(answer(after=0.05))
    price = f"{{ input = 0, output = {1_000_000 / (TOKENS - 10):.6f} }}"
    urls = await start_three(
        provider(vendor) + model(price=price) + '[budgets.keys]\n"anonymous" = { day = 10 }\n'
    )
    replies = await asyncio.gather(*(ask(http, urls[number % ROUTERS], TOKENS - 10) for number in range(200)))
    spent = sum(status == 200 for status, _ in replies)
    assert 9 <= spent <= 11
    refusals = [body["error"] for status, body in replies if status != 200]
    assert {error["code"] for error in refusals} == {"budget_exceeded"}
    assert len(vendor.received) == spent


async def test_a_flooding_key_does_not_hold_up_a_quiet_one(
    start_three: StartThree, start_vendor: StartVendor
) -> None:
    """Fifty requests of one key wait at every Router; the one of another key is served next but a few."""
    flooded = asyncio.Event()
    arrived = 0

    def busy(request: object) -> Play:
        nonlocal arrived
        arrived += 1
        if arrived >= 10 * ROUTERS:
            flooded.set()
        return answer(after=0.02)

    vendor = await start_vendor(busy)
    keys = "[auth]\nenabled = true\n" + "".join(
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name in ("flood", "quiet")
    )
    urls = await start_three(
        provider(vendor) + model() + keys + "[limits]\nmax_concurrent_requests = 2\nqueue_length = 100\n"
    )
    done = [0] * ROUTERS
    unlimited = aiohttp.TCPConnector(limit=0)  # the queue to be tested is the Router's, not the client's
    async with aiohttp.ClientSession(connector=unlimited) as http:

        async def flood(router: int) -> int:
            status, _ = await ask(http, urls[router], 9, {"authorization": "Bearer flood"})
            done[router] += 1
            return status

        async def quiet(router: int) -> int:
            async with asyncio.timeout(60):
                await flooded.wait()
            before = done[router]
            status, _ = await ask(http, urls[router], 9, {"authorization": "Bearer quiet"})
            assert status == 200
            return done[router] - before

        calls = [flood(router) for router in range(ROUTERS) for _ in range(50)]
        waits, statuses = await asyncio.gather(
            asyncio.gather(*(quiet(router) for router in range(ROUTERS))), asyncio.gather(*calls)
        )
    assert set(statuses) == {200}
    assert max(waits) <= 12  # not all that came before it
