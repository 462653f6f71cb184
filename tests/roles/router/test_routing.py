"""Choosing a target: by configuration, header and rule; what a key may not ask for; what /metrics says of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from typing import Any

import aiohttp
import pytest

from intellirouter.errors import ConfigError
from tests.conftest import StartNode, StartVendor, provider
from tests.minutes import room_in_this_minute
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play

BODY: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
CHAT = """
[[model_registry.models]]
name = "chat"
strategy = "round-robin"
targets = [{ target = "one/m", tags = ["small"] }, { target = "two/m", tags = ["vision"] }]
[[model_registry.models]]
name = "secret"
targets = ["two/m"]
"""


async def test_the_strategy_is_the_models_the_headers_or_the_rules(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    one, two = await start_vendor(Play.json(faults.whole())), await start_vendor(Play.json(faults.whole()))
    rules = '[[router.rules]]\nimages = true\ntargets = ["vision"]\nonly = true\n'
    node = await start_node(provider(one, name="one") + provider(two, name="two") + CHAT + rules)
    url = f"{node.listening[0].url}/v1/chat/completions"

    async def by(body: dict[str, Any] = BODY, **headers: str) -> str:
        async with http.post(url, json=body, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            return reply.headers["x-intellirouter-provider"]

    assert Counter([await by() for _ in range(10)]) == {"one": 5, "two": 5}
    assert {await by(**{"x-intellirouter-strategy": "fallback"}) for _ in range(4)} == {"one"}
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    shown = {**BODY, "messages": [{"role": "user", "content": [picture]}]}
    assert {await by(shown) for _ in range(4)} == {"two"}
    sticky = {**BODY, "user": "u1", "intellirouter": {"strategy": "consistent-hash"}}
    assert len({await by(sticky) for _ in range(6)}) == 1
    async with http.post(url, json=BODY, headers={"x-intellirouter-strategy": "luck"}) as reply:
        assert reply.status == 400
        assert "no strategy 'luck'" in await reply.text()


async def test_a_decision_can_be_explained(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    one = await start_vendor(faults.error(503, "down"))
    two = await start_vendor(Play.json(faults.whole()))
    node = await start_node(
        provider(one, name="one") + provider(two, name="two") + CHAT.replace("round-robin", "fallback")
    )
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json=BODY, headers={"x-intellirouter-explain": "1"}) as reply:
        decision = json.loads(reply.headers["x-intellirouter-decision"])
        assert reply.headers["x-intellirouter-attempts"] == "3"
    assert decision["strategy"] == "fallback"
    assert decision["order"] == ["one/m", "two/m"]
    tried = [(attempt["target"], attempt["outcome"]) for attempt in decision["attempts"]]
    assert tried == [("one/m", "upstream_unavailable")] * 2 + [("two/m", "ok")]
    assert decision["answered_by"]["provider"] == "two"
    for _ in range(3):
        async with http.post(url, json=BODY, headers={"x-intellirouter-explain": "1"}) as reply:
            decision = json.loads(reply.headers["x-intellirouter-decision"])
    assert "circuit is open" in decision["passed_over"]["one/m"]
    async with http.get(f"{node.listening[0].url}/metrics") as reply:
        text = await reply.text()
    assert 'circuit_breaker_state{target="one/m"} 2.0' in text
    assert 'circuit_breaker_state{target="two/m"} 0.0' in text
    assert 'intellirouter_state_degraded{backend="embedded"} 0.0' in text
    assert "queue_depth 0.0" in text


async def test_a_key_may_not_reach_a_model_by_naming_it_as_a_fallback(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()))
    digest = hashlib.sha256(b"k").hexdigest()
    auth = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "k"\nsha256 = "{digest}"\nmodels = ["chat"]\n'
    node = await start_node(provider(vendor, name="one") + provider(vendor, name="two") + CHAT + auth)
    url = f"{node.listening[0].url}/v1/chat/completions"
    headers = {"authorization": "Bearer k"}
    body = {**BODY, "intellirouter": {"fallbacks": ["secret"]}}
    async with http.post(url, json=body, headers=headers) as reply:
        assert reply.status == 403
    async with http.post(url, json=BODY, headers=headers) as reply:
        assert reply.status == 200


async def test_keys_of_one_provider_take_turns_and_a_refused_one_rests_alone(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    def answer(request: Any) -> Play:
        if request.headers["authorization"] == "Bearer bad":
            return faults.error(429, "slow down", **{"retry-after": "30"})
        return Play.json(faults.whole())

    vendor = await start_vendor(answer)
    toml = provider(vendor, name="one").replace(
        'api_key = "sk-secret-of-one"', 'api_keys = ["a", "bad", "c"]'
    )
    url = f"{(await start_node(toml)).listening[0].url}/v1/chat/completions"
    for _ in range(12):
        async with http.post(url, json={**BODY, "model": "one/m"}) as reply:
            assert reply.status == 200
    used = Counter(request.headers["authorization"] for request in vendor.received)
    assert used["Bearer bad"] == 1
    assert min(used["Bearer a"], used["Bearer c"]) >= 4


async def test_no_more_calls_at_once_than_a_target_takes(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    one = await start_vendor(faults.slow_first_token(0.3))
    two = await start_vendor(Play.json(faults.whole()))
    chat = '[[model_registry.models]]\nname = "chat"\ntargets = [{ target = "one/m", max_concurrency = 2 }, "two/m"]\n'
    node = await start_node(provider(one, name="one") + provider(two, name="two") + chat)
    url = f"{node.listening[0].url}/v1/chat/completions"

    async def ask() -> str:
        async with http.post(url, json=BODY) as reply:
            return reply.headers["x-intellirouter-provider"]

    assert Counter(await asyncio.gather(*(ask() for _ in range(10)))) == {"one": 2, "two": 8}


async def test_a_providers_own_limits_are_kept_by_us(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    one, two = await start_vendor(Play.json(faults.whole())), await start_vendor(Play.json(faults.whole()))
    limited = provider(one, name="one", more="requests_per_minute = 3")
    tokens = provider(two, name="two", more="tokens_per_minute = 200")  # an answer uses 70
    chat = '[[model_registry.models]]\nname = "chat"\ntargets = ["one/m", "two/m"]\n'
    url = f"{(await start_node(limited + tokens + chat)).listening[0].url}/v1/chat/completions"
    await room_in_this_minute()
    statuses = []
    for _ in range(10):
        async with http.post(url, json=BODY) as reply:
            statuses.append(reply.status)
    assert len(one.received) <= 3
    assert len(two.received) == 3
    assert statuses == [200] * 6 + [429] * 4


async def test_a_whole_answer_is_hedged_after_what_is_usual(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    slow = False

    def answer(request: Any) -> Play:
        return faults.slow_first_token(20.0)(request) if slow else Play.json(faults.whole())

    one, two = await start_vendor(answer), await start_vendor(Play.json(faults.whole()))
    chat = '[[model_registry.models]]\nname = "chat"\ntargets = ["one/m", "two/m"]\n'
    hedge = '[router]\nhedge_whole_after_seconds = "p95"\n'
    node = await start_node(provider(one, name="one") + provider(two, name="two") + chat + hedge)
    url = f"{node.listening[0].url}/v1/chat/completions"

    async def by() -> str:
        async with http.post(url, json=BODY) as reply:
            return reply.headers["x-intellirouter-provider"]

    assert {await by() for _ in range(20)} == {"one"}
    slow = True
    began = time.perf_counter()
    assert await by() == "two"
    assert time.perf_counter() - began < 10  # not the twenty seconds of the first


async def test_a_strategy_that_does_not_exist_keeps_a_node_from_starting(start_node: StartNode) -> None:
    with pytest.raises(ConfigError, match="least-busy"):
        await start_node('[router]\nstrategy = "least-bussy"\n')
