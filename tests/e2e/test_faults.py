"""The sixteen faults of a provider, streamed and whole, through one Router and through three that share a Redis.

Times are those of the real faults divided by ten or more; the deadlines of the provider are set to match.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.servers import fault_vendor as faults
from tests.servers.redis import redis_server
from tests.servers.vendor import Answer, Play, Vendor

FIRST_TOKEN, IDLE = 0.5, 0.4
HUNG = 1.0


@dataclass(frozen=True)
class Fault:
    """What the primary does, who must have answered, and how many calls the primary may see."""

    primary: Callable[[], Answer]
    by: tuple[str, ...]
    calls: tuple[int, int]
    fallback: Callable[[], Answer] = lambda: lambda request: faults.healthy(request, "other")
    within: float = 3.0
    error: str | None = None


FAULTS: dict[str, Fault] = {
    "1 429 with Retry-After, then fine": Fault(
        lambda: faults.once(faults.error(429, "slow", **{"retry-after": "2"})), ("primary", "second"), (1, 2)
    ),
    "2 429 for ever": Fault(lambda: faults.error(429, "slow"), ("second",), (1, 4)),
    "3 500 once": Fault(lambda: faults.once(faults.error(500, "oops")), ("primary",), (2, 2)),
    "4 503 for ever": Fault(lambda: faults.error(503, "down"), ("second",), (1, 6)),
    "5 reset before any byte": Fault(lambda: Play(before="reset"), ("second",), (1, 6)),
    "6 accepts and never answers": Fault(lambda: Play(before="hang"), ("second",), (1, 1)),
    "7 first token too late": Fault(lambda: faults.slow_first_token(HUNG), ("second",), (1, 1)),
    "8 dies after 40 tokens": Fault(lambda: faults.broken_after(40, "reset"), ("primary", "second"), (1, 2)),
    "9 silent after 20 tokens": Fault(
        lambda: faults.broken_after(20, "clean", silence=HUNG), ("primary", "second"), (1, 1)
    ),
    "10 one event is no JSON": Fault(lambda: faults.invalid_json, ("primary", "second"), (1, 2)),
    "11 no [DONE]": Fault(lambda: faults.without_done, ("primary",), (1, 1)),
    "12 context too long": Fault(
        lambda: faults.error(400, "maximum context length is 10 tokens", "context_length_exceeded"),
        ("second",),
        (1, 1),
    ),
    "13 content policy": Fault(
        lambda: faults.error(400, "flagged by our policy", "content_policy_violation"),
        (),
        (1, 1),
        error="flagged by our policy",
    ),
    "14 dies, and the fallback refuses a prefill": Fault(
        lambda: faults.broken_after(40, "reset"),
        ("primary", "second"),
        (1, 2),
        fallback=lambda: faults.refusing_prefill,
    ),
    "14b dies, and the fallback starts anew": Fault(
        lambda: faults.broken_after(40, "close"),
        ("primary", "second"),
        (1, 2),
        fallback=lambda: faults.starting_anew,
    ),
    "16 503 for ever, and the bill": Fault(lambda: faults.error(503, "down"), ("second",), (1, 6)),
}


def settings(primary: Vendor, second: Vendor, more: str = "") -> str:
    timeouts = f"timeouts = {{ connect = 1, first_token = {FIRST_TOKEN}, idle = {IDLE}, total = 10 }}"
    price = "price = { input = 1.0, output = 2.0 }"
    return f"""
[[model_registry.providers]]
name = "primary"
kind = "openai_compatible"
endpoint = "{primary.url}/v1"
models = ["m"]
{timeouts}
[[model_registry.providers]]
name = "second"
kind = "openai_compatible"
endpoint = "{second.url}/v1"
models = ["other"]
{timeouts}
[[model_registry.models]]
name = "chat"
targets = ["primary/m"]
fallbacks = ["backup"]
context_window = 10
{price}
[[model_registry.models]]
name = "backup"
targets = ["second/other"]
context_window = 100000
{price}
{more}
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str
    usage: dict[str, Any] | None
    error: str | None
    seconds: float


async def ask(http: aiohttp.ClientSession, url: str, *, stream: bool) -> Reply:
    body: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Say the words"}]}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    began = time.monotonic()
    headers = {"x-intellirouter-explain": "1"}
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        data = await reply.read()
    seconds = time.monotonic() - began
    heads = {name.lower(): value for name, value in reply.headers.items()}
    if not heads["content-type"].startswith("text/event-stream"):
        answer = json.loads(data)
        error = answer.get("error", {}).get("message")
        text = "" if error else answer["choices"][0]["message"]["content"]
        return Reply(reply.status, heads, text, answer.get("usage"), error, seconds)
    text, usage, error, done = "", None, None, False
    for line in data.decode().split("\n"):
        if not line.startswith("data: "):
            continue
        assert not done, "nothing may follow [DONE]"
        if line == "data: [DONE]":
            done = True
            continue
        event = json.loads(line[6:])
        error = error or event.get("error", {}).get("message")
        usage = event.get("usage") or usage
        for choice in event.get("choices", ()):
            text += choice["delta"].get("content") or ""
    assert done != bool(error), "a stream ends cleanly or with an error, not both"
    return Reply(reply.status, heads, text, usage, error, seconds)


@pytest.mark.parametrize("routers", [1, 3])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", FAULTS)
async def test_the_caller_gets_the_complete_answer(
    name: str,
    stream: bool,
    routers: int,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    redis_url: str,
) -> None:
    fault = FAULTS[name]
    primary, second = await start_vendor(fault.primary()), await start_vendor(fault.fallback())
    toml = settings(primary, second)
    if routers > 1:
        toml += (
            f'\n[memory]\nbackend_type = "redis"\nredis_url = "{redis_url}"\nnamespace = "t{primary.port}"\n'
        )
    nodes = [await start_node(toml) for _ in range(routers)]
    replies = await asyncio.gather(*(ask(http, node.listening[0].url, stream=stream) for node in nodes))
    low, high = fault.calls
    assert low <= len(primary.received) <= high * routers
    for reply in replies:
        assert reply.seconds < fault.within
        if fault.error is not None:
            assert reply.status == 400
            assert fault.error in (reply.error or "")
            assert not second.received
            continue
        assert reply.error is None
        assert reply.status == 200
        assert reply.text == faults.TEXT
        assert reply.usage is not None
        assert reply.headers["x-intellirouter-provider"] in (*fault.by, "second" if routers > 1 else "")
        assert json.loads(reply.headers["x-intellirouter-decision"])["attempts"]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_failed_tries_are_not_billed(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    primary = await start_vendor(faults.error(503, "down"))
    second = await start_vendor(lambda request: faults.healthy(request, "other"))
    node = await start_node(settings(primary, second))
    reply = await ask(http, node.listening[0].url, stream=stream)
    assert reply.headers["x-intellirouter-model"] == "other"
    assert reply.usage == faults.USAGE
    async with http.get(f"{node.listening[0].url}/metrics") as metrics:
        text = await metrics.text()
    assert 'llm_cost_usd_total{model="other",provider="second"} 0.00013' in text
    assert 'llm_cost_usd_total{model="m"' not in text


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_answer_whose_usage_nobody_says_is_not_free(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    answer = {key: value for key, value in faults.whole().items() if key != "usage"}
    said = [event for event in faults.events(faults.PIECES) if event != faults.usage_chunk()]
    primary = await start_vendor(Play.sse(*said) if stream else Play.json(answer))
    node = await start_node(settings(primary, primary))
    reply = await ask(http, node.listening[0].url, stream=stream)
    assert reply.text == faults.TEXT
    async with http.get(f"{node.listening[0].url}/metrics") as metrics:
        lines = (await metrics.text()).split("\n")
    tokens = {
        line.split('kind="')[1].split('"')[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("llm_token_usage_total{")
    }
    assert tokens["input"] > 3
    assert 60 <= tokens["output"] <= 250


@dataclass(frozen=True)
class Alone:
    """A provider with nobody behind it: how often it may be asked, within what time, and what the caller gets."""

    primary: Callable[[], Answer]
    calls: tuple[int, int]
    between: tuple[float, float]
    status: int


ALONE: dict[str, Alone] = {
    "1 Retry-After is waited for": Alone(
        lambda: faults.once(faults.error(429, "slow", **{"retry-after": "1"})), (2, 2), (1.0, 2.5), 200
    ),
    "1b a long Retry-After is passed on": Alone(
        lambda: faults.error(429, "slow", **{"retry-after": "60"}), (1, 1), (0, 1.0), 429
    ),
    "2 429 for ever": Alone(lambda: faults.error(429, "slow"), (2, 4), (0.3, 6.0), 429),
    "3 500 once": Alone(lambda: faults.once(faults.error(500, "oops")), (2, 2), (0, 1.0), 200),
    "4 503 for ever": Alone(lambda: faults.error(503, "down"), (2, 6), (0, 1.0), 503),
    "6 never answers": Alone(lambda: Play(before="hang"), (1, 1), (FIRST_TOKEN, 2.0), 504),
}


@pytest.mark.parametrize("name", ALONE)
async def test_with_nobody_behind_it_a_provider_is_asked_again_with_care(
    name: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    case = ALONE[name]
    primary = await start_vendor(case.primary())
    toml = settings(primary, primary).replace('fallbacks = ["backup"]', "")
    reply = await ask(http, (await start_node(toml)).listening[0].url, stream=True)
    assert reply.status == case.status
    assert case.calls[0] <= len(primary.received) <= case.calls[1]
    assert case.between[0] <= reply.seconds <= case.between[1]
    if case.status == 200:
        assert reply.text == faults.TEXT


async def test_with_nowhere_to_go_a_broken_stream_ends_with_an_error(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    primary = await start_vendor(faults.broken_after(40, "close"))
    second = await start_vendor(faults.error(503, "down"))
    for policy in ("continue", "error"):
        node = await start_node(settings(primary, second, f'[router]\nmid_stream = "{policy}"\n'))
        reply = await ask(http, node.listening[0].url, stream=True)
        if policy == "error":
            assert reply.text == " ".join(faults.WORDS[:40])
        assert faults.TEXT.startswith(reply.text)
        assert reply.error


async def test_a_hedge_answers_while_the_first_is_silent_and_what_both_got_is_paid(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    primary = await start_vendor(faults.slow_first_token(HUNG))
    second = await start_vendor(lambda request: faults.healthy(request, "other"))
    toml = settings(primary, second, "[router]\nhedge_after_seconds = 0.1\n")
    node = await start_node(toml.replace(f"first_token = {FIRST_TOKEN}", "first_token = 9"))
    reply = await ask(http, node.listening[0].url, stream=True)
    assert (reply.text, reply.headers["x-intellirouter-provider"]) == (faults.TEXT, "second")
    assert reply.seconds < HUNG - 0.1
    await asyncio.wait_for(primary.cut.wait(), 60)  # the loser is cancelled
    async with http.get(f"{node.listening[0].url}/metrics") as metrics:
        costs = {
            line.split('provider="')[1].split('"')[0]: float(line.rpartition(" ")[2])
            for line in (await metrics.text()).split("\n")
            if line.startswith("llm_cost_usd_total{")
        }
    assert costs["second"] == pytest.approx(0.00013)
    assert 0 < costs["primary"] < 0.00002  # it got the prompt, and wrote nothing


@contextlib.asynccontextmanager
async def calling(http: aiohttp.ClientSession, urls: list[str]) -> AsyncIterator[list[Reply]]:
    """One call after another to every router in turn."""
    replies: list[Reply] = []

    async def run() -> None:
        while True:
            for url in urls:
                replies.append(await ask(http, url, stream=True))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(run())
    try:
        yield replies
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("routers", [1, 3])
async def test_15_a_circuit_opens_everywhere_and_closes_soon_after_recovery(
    routers: int,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    redis_url: str,
) -> None:
    away = True
    primary = await start_vendor(
        lambda request: faults.error(503, "down") if away else faults.healthy(request)
    )
    second = await start_vendor(lambda request: faults.healthy(request, "other"))
    toml = settings(primary, second, "[router.circuit]\nprobe_interval = 0.4\n")
    if routers > 1:
        toml += (
            f'\n[memory]\nbackend_type = "redis"\nredis_url = "{redis_url}"\nnamespace = "c{primary.port}"\n'
        )
    urls = [(await start_node(toml)).listening[0].url for _ in range(routers)]
    for _ in range(3):  # the first router learns it the hard way …
        await ask(http, urls[0], stream=True)
    assert len(primary.received) <= 6
    for url in urls[1:]:  # … and the others hear of it, before they could have learnt it themselves
        learnt, decision, deadline = len(primary.received), "", time.monotonic() + 60
        while "circuit is open" not in decision and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            decision = (await ask(http, url, stream=True)).headers["x-intellirouter-decision"]
        assert "circuit is open" in decision
        assert len(primary.received) - learnt < 5
    learnt, began = len(primary.received), time.monotonic()
    async with calling(http, urls) as replies:
        while len(replies) < 60:
            assert time.monotonic() - began < 60
            await asyncio.sleep(0.02)
        probes = routers * ((time.monotonic() - began) / 0.4 + 2)  # the machine may be slow
        assert len(primary.received) - learnt <= probes  # and nothing else, while it is away
        away = False
        end = time.monotonic() + 60
        while replies[-1].headers.get("x-intellirouter-provider") != "primary":
            assert time.monotonic() < end, "the circuit never closed"
            await asyncio.sleep(0.02)
    assert all(reply.text == faults.TEXT for reply in replies)
