"""What callers pay is what providers bill, whatever ends a request: a running node before vendors that keep their own bill."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.minutes import room_in_this_minute
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play, Received, Vendor

ADMIN, USER = "sk-the-admin", "sk-the-user"
INPUT, OUTPUT = 3.0, 15.0


def keys(user: str = "") -> str:
    def sha(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()

    return f"""
[auth]
enabled = true
[[auth.keys]]
name = "admin"
sha256 = "{sha(ADMIN)}"
scopes = ["admin"]
[[auth.keys]]
name = "user"
sha256 = "{sha(USER)}"
scopes = ["inference", "chains", "personas"]
{user}
"""


def model(
    vendor: Vendor, *, kind: str = "openai_compatible", name: str = "m", more: str = "", price: bool = True
) -> str:
    cost = (
        f"price = {{ input = {INPUT}, output = {OUTPUT}, cached = 0.3, cache_write = 3.75 }}" if price else ""
    )
    return f"""
[[model_registry.providers]]
name = "p-{name}"
kind = "{kind}"
endpoint = "{vendor.url}/v1"
api_key = "sk-of-{name}"
models = ["x"]
[[model_registry.models]]
name = "{name}"
targets = ["p-{name}/x"]
{cost}
{more}
"""


def bearer(secret: str = USER) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def chat(text: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def spent(http: aiohttp.ClientSession, url: str, key: str = "user") -> dict[str, float]:
    async with http.get(f"{url}/admin/spend?by=key", headers=bearer(ADMIN)) as reply:
        days = (await reply.json())["days"]
    rows = [row for listed in days.values() for row in listed if row["key"] == key]
    return rows[0] if rows else {"usd": 0.0, "requests": 0, "input_tokens": 0, "output_tokens": 0}


async def settles(
    http: aiohttp.ClientSession, url: str, enough: Callable[[dict[str, float]], bool]
) -> dict[str, float]:
    deadline = time.monotonic() + 60
    while not enough(row := await spent(http, url)):
        assert time.monotonic() < deadline, row
        await asyncio.sleep(0.02)
    return row


# Streams that their caller leaves.


def openai(delta: dict[str, Any]) -> bytes:
    return faults.chunk(delta)


TOOL = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "write", "arguments": ""}}]
CUT: dict[str, list[bytes]] = {
    "text": [openai({"content": "word"}) for _ in range(60)],
    "text beyond ASCII": [openai({"content": "象"}) for _ in range(60)],
    "thoughts": [openai({"reasoning_content": "word"}) for _ in range(60)],
    "arguments of a tool call": [
        openai({"tool_calls": TOOL}),
        *(openai({"tool_calls": [{"index": 0, "function": {"arguments": "word"}}]}) for _ in range(60)),
    ],
    "arguments at once": [
        openai(
            {"tool_calls": [{**TOOL[0], "function": {"name": "write", "arguments": json.dumps("word" * 60)}}]}
        )
    ],
    "a refusal": [openai({"refusal": "word"}) for _ in range(60)],
    "sound": [openai({"audio": {"id": "a1", "data": "A" * 4_000}}) for _ in range(10)],
}
LONG = "a word of the prompt " * 1_000


@pytest.mark.parametrize("name", CUT)
async def test_a_stream_that_its_caller_leaves_is_paid_for(
    name: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*CUT[name], end="hang"))
    url = (await start_node(model(vendor) + keys())).listening[0].url
    async with http.post(
        f"{url}/v1/chat/completions", json=chat(LONG, stream=True), headers=bearer()
    ) as reply:
        seen = 0
        while seen < len(CUT[name]):
            seen += b"data: {" in await reply.content.readline()
        reply.close()
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert row["input_tokens"] >= len(LONG) // 4
    assert row["output_tokens"] >= 59
    assert row["usd"] >= (len(LONG) / 4 * INPUT + 59 * OUTPUT) / 1e6 * 0.98


def anthropic(*events: dict[str, Any], end: Any = "clean") -> Play:
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return Play(pieces, headers={"content-type": "text/event-stream"}, end=end)


def message_start(read: int, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": read, "output_tokens": 1, **more}
    return {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "x", "role": "assistant", "usage": usage},
    }


BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


def words(count: int) -> list[dict[str, Any]]:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word"}}
    return [BLOCK, *[delta] * count]


async def test_what_the_vendor_said_of_the_input_wins_over_an_estimate(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(anthropic(message_start(5_000), *words(7), end="hang"))
    url = (await start_node(model(vendor, kind="anthropic") + keys())).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json=chat(stream=True), headers=bearer()) as reply:
        for _ in range(2 * 7):
            await reply.content.readline()
        reply.close()
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert row["input_tokens"] == 5_000
    assert row["usd"] >= 0.015


async def test_writes_into_a_cache_cost_by_how_long_they_are_kept(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 1_000,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 0},
        "output_tokens": 10,
    }
    body = {"id": "m1", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn"}
    body["content"] = [{"type": "text", "text": "Hello there."}]  # type: ignore[assignment]
    vendor = await start_vendor(Play.json({**body, "usage": usage}))
    url = (await start_node(model(vendor, kind="anthropic") + keys())).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json=chat(), headers=bearer()) as reply:
        assert reply.status == 200
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert row["usd"] == pytest.approx(0.00645)


async def test_a_whole_answer_that_its_caller_does_not_wait_for_is_paid_for(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play(before="hang"))
    url = (await start_node(model(vendor) + keys())).listening[0].url
    post = asyncio.create_task(
        http.post(f"{url}/v1/chat/completions", json=chat(LONG), headers=bearer()).__aenter__()
    )
    deadline = time.monotonic() + 60
    while not vendor.received:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    post.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await post
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert row["input_tokens"] >= len(LONG) // 4
    assert row["output_tokens"] > 0


async def test_the_loser_of_a_hedge_is_paid_for(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    slow, quick = await start_vendor(Play(before="hang")), await start_vendor(Play.json(faults.whole()))
    toml = model(slow, more='fallbacks = ["q"]') + model(quick, name="q") + keys()
    url = (await start_node(f"[router]\nhedge_whole_after_seconds = 0.05\n{toml}")).listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json=chat(LONG), headers=bearer()) as reply:
        assert reply.status == 200
        assert reply.headers["x-intellirouter-attempts"] == "2"
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert row["input_tokens"] >= len(LONG) // 4 + faults.USAGE["prompt_tokens"]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -10_000_000, "completion_tokens": -10_000_000, "total_tokens": -20_000_000},
        {"prompt_tokens": 10, "completion_tokens": -5, "total_tokens": 5},
        {"prompt_tokens": 10**15, "completion_tokens": 10**15, "total_tokens": 2 * 10**15},
        {"prompt_tokens": 1e300, "completion_tokens": 1, "total_tokens": 1},
        {"prompt_tokens": 10, "completion_tokens": 60, "total_tokens": -1_000_000},
        {
            "prompt_tokens": 10,
            "completion_tokens": 60,
            "prompt_tokens_details": {"cached_tokens": -1_000_000},
        },
        {"prompt_tokens": 10, "completion_tokens": 60, "prompt_tokens_details": {"cached_tokens": 10**9}},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": "many", "completion_tokens": None},
        [],
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_usage_that_cannot_be_is_no_credit_and_no_ruin(
    usage: Any, stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    said = json.loads(faults.usage_chunk()) | {"usage": usage}
    events = [event for event in faults.events(faults.PIECES) if event != faults.usage_chunk()]
    streamed = Play.sse(*events[:-1], json.dumps(said).encode(), b"[DONE]")
    vendor = await start_vendor(streamed if stream else Play.json(faults.whole() | {"usage": usage}))
    url = (await start_node(model(vendor) + keys())).listening[0].url
    async with http.post(
        f"{url}/v1/chat/completions", json=chat(LONG, stream=stream), headers=bearer()
    ) as reply:
        assert reply.status == 200
        await reply.read()
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert 10 <= row["input_tokens"] <= len(LONG)
    assert 60 <= row["output_tokens"] <= 500
    assert 0 < row["usd"] < 0.1
    async with http.get(f"{url}/metrics") as metrics:
        counted = [
            line for line in (await metrics.text()).split("\n") if line.startswith("llm_token_usage_total{")
        ]
    assert all(0 <= float(line.rpartition(" ")[2]) < 100_000 for line in counted)


# Limits.


async def test_a_budget_refuses_what_it_cannot_count(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()))
    toml = model(vendor, price=False) + keys()
    urls = {}
    for policy in ('"refuse"', "{ input = 1.0, output = 2.0 }"):
        budget = f"[budgets]\nunknown_price = {policy}\n[budgets.keys.user]\nday = 1.0\n"
        urls[policy] = (await start_node(toml + budget)).listening[0].url
    refusing, counting = urls.values()
    async with http.post(f"{refusing}/v1/chat/completions", json=chat(), headers=bearer()) as reply:
        assert reply.status == 402
        assert "unknown_price" in await reply.text()
    assert not vendor.received
    async with http.post(f"{refusing}/v1/chat/completions", json=chat(), headers=bearer(ADMIN)) as reply:
        assert reply.status == 200  # who has no budget is not asked for a price
    async with http.post(f"{counting}/v1/chat/completions", json=chat(), headers=bearer()) as reply:
        assert reply.status == 200
    row = await settles(http, counting, lambda row: row["requests"] == 1)
    assert row["usd"] == pytest.approx((10 * 1.0 + 60 * 2.0) / 1e6)


@pytest.mark.parametrize(
    "limit", [{"requests_per_minute": 0}, {"tokens_per_minute": 0}, {"budgets": {"day": 0}}], ids=str
)
async def test_a_limit_of_zero_is_none_at_all(
    limit: dict[str, Any], start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()))
    url = (await start_node(model(vendor) + keys())).listening[0].url
    body = {"name": "none", **limit}
    async with http.post(f"{url}/admin/keys", json=body, headers=bearer(ADMIN)) as reply:
        assert reply.status == 201
        secret = (await reply.json())["secret"]
    deadline = time.monotonic() + 60
    for _ in range(5):
        async with http.post(f"{url}/v1/chat/completions", json=chat(), headers=bearer(secret)) as reply:
            if reply.status == 401:  # the key is not known yet
                assert time.monotonic() < deadline
                continue
            assert reply.status in (402, 429)
    assert not vendor.received


async def test_less_than_nothing_is_no_limit_that_a_key_can_have(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    url = (await start_node(model(await start_vendor(Play.json(faults.whole()))) + keys())).listening[0].url
    for field, value in (
        ("requests_per_minute", -5),
        ("tokens_per_minute", -1),
        ("requests_per_minute", 10**40),
        ("budgets", {"day": -0.01}),
        ("budgets", {"day": 1e400}),
        ("budgets", {"day": True}),
    ):
        body = json.dumps({"name": "k", field: value}).replace("Infinity", "1e999")
        headers = {**bearer(ADMIN), "content-type": "application/json"}
        async with http.post(f"{url}/admin/keys", data=body, headers=headers) as reply:
            assert reply.status == 400, (field, value)


async def test_counting_tokens_is_a_request_by_the_limits_of_a_key(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    await room_in_this_minute()
    vendor = await start_vendor(Play.json({"input_tokens": 7}))
    limit = "[limits.keys.user]\nrequests_per_minute = 2\n"
    url = (await start_node(model(vendor, kind="anthropic") + keys() + limit)).listening[0].url
    statuses = []
    for _ in range(6):
        async with http.post(f"{url}/v1/messages/count_tokens", json=chat(), headers=bearer()) as reply:
            statuses.append(reply.status)
    assert statuses == [200, 200, 429, 429, 429, 429]
    assert len(vendor.received) == 2
    assert (await spent(http, url))["usd"] == 0


async def test_the_limits_of_a_key_hold_at_the_doors_of_every_role(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    await room_in_this_minute()
    limit = "[limits.keys.user]\nrequests_per_minute = 3\n"
    node = await start_node(model(await start_vendor(Play.json(faults.whole()))) + keys() + limit, role="All")
    urls = {one.role: one.url for one in node.listening}
    paths = {"RagManager": "/rag/v1/collections", "ChainEngine": "/v1/chains", "PersonaLayer": "/v1/personas"}
    for role, path in paths.items():
        statuses = []
        for _ in range(8):
            async with http.get(f"{urls[role]}{path}", headers=bearer()) as reply:
                statuses.append(reply.status)
                if reply.status == 429:
                    assert reply.headers["retry-after"]
        assert statuses == [200] * 3 + [429] * 5, role
        async with http.get(f"{urls[role]}{path}", headers=bearer(ADMIN)) as reply:
            assert reply.status == 200


async def test_embeddings_without_a_usage_are_paid_for(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
    vendor = await start_vendor(Play.json({"object": "list", "data": [vector], "model": "x"}))
    url = (await start_node(model(vendor) + keys())).listening[0].url
    body = {"model": "m", "input": LONG}
    async with http.post(f"{url}/v1/embeddings", json=body, headers=bearer()) as reply:
        assert reply.status == 200
    row = await settles(http, url, lambda row: row["requests"] == 1)
    assert row["input_tokens"] == len(LONG) // 4
    assert row["output_tokens"] == 0


# The bill of many.


class Billing:
    """A vendor of messages that bills what it read and wrote; some requests it refuses, some answers it breaks off."""

    def __init__(self, seed: int) -> None:
        self.usd = 0.0
        self._chance = random.Random(seed)

    def __call__(self, request: Received) -> Play:
        body = request.json
        fault = self._chance.random()
        if fault < 0.1:
            return faults.error(self._chance.choice([400, 401, 404, 413]), "refused")
        read = sum(len(message["content"]) for message in body["messages"]) + 3
        wrote = self._chance.randint(1, 40)
        self.usd += (read * INPUT + wrote * OUTPUT) / 1e6
        if not body.get("stream"):
            usage = {"input_tokens": read, "output_tokens": wrote}
            content = [{"type": "text", "text": "word" * wrote}]
            whole = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": content}
            return Play.json({**whole, "stop_reason": "end_turn", "usage": usage})
        if fault < 0.3:
            return anthropic(message_start(read), *words(wrote), end="close")
        stop = {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": wrote},
        }
        closed = {"type": "content_block_stop", "index": 0}
        return anthropic(message_start(read), *words(wrote), closed, stop, {"type": "message_stop"})


async def test_the_ledger_of_a_thousand_requests_is_the_bill_of_the_provider(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    bill = Billing(seed=7)
    vendor = await start_vendor(bill)
    toml = f'[router]\nmid_stream = "error"\n[router.circuit]\nfailure_threshold = 1000000\n{model(vendor, kind="anthropic")}{keys()}'
    url = (await start_node(toml)).listening[0].url
    chance = random.Random(8)
    room = asyncio.Semaphore(16)

    async def ask(text: str, stream: bool) -> None:
        body = chat(text, stream=stream, max_tokens=100)
        async with room, http.post(f"{url}/v1/chat/completions", json=body, headers=bearer()) as reply:
            await reply.read()

    await asyncio.gather(*(ask("w" * chance.randint(1, 2_000), chance.random() < 0.7) for _ in range(1_000)))
    row = await settles(http, url, lambda row: row["usd"] >= bill.usd * 0.999)
    assert row["usd"] == pytest.approx(bill.usd, rel=1e-6)
