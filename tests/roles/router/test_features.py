"""Switches: off is the routing of before, request by request; every node follows; the commands and their mistakes."""

from __future__ import annotations

import asyncio
import json
import time
from hashlib import sha256
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from intellirouter.cli.main import build
from intellirouter.inference.switches import Switch
from tests.conftest import StartNode, StartVendor, provider
from tests.inference.learning.made import HARD, questions
from tests.roles.router.test_learned_routing import asked, said

ADMIN = {"authorization": "Bearer sk-admin"}
KEYS = f"""
[auth]
enabled = true
[[auth.keys]]
name = "admin"
scopes = ["admin"]
sha256 = "{sha256(b"sk-admin").hexdigest()}"
"""
MODELS = """
[model_registry]
[[model_registry.models]]
name = "small"
targets = ["small/m"]
price = { input = 1, output = 1 }
[[model_registry.models]]
name = "large"
targets = ["large/m"]
price = { input = 10, output = 10 }
[[model_registry.models]]
name = "smart"
targets = ["large/m", "small/m"]
[model_registry.models.learning]
explore = 0.5
cost_weight = 1.0
quality_floor = 0.1
"""


async def by(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> str:
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=ADMIN) as reply:
        assert reply.status == 200, await reply.text()
        return reply.headers["x-intellirouter-provider"]


async def test_off_is_the_routing_of_before_request_by_request(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """A node that learnt, all switched off by one call, decides as one whose groups were never told to learn: each request."""
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    both = provider(small, name="small") + provider(large, name="large") + KEYS
    learning = (await start_node(both + MODELS + "[router]\nlearning_interval = 0.2\n")).listening[0].url
    plain = (
        (await start_node(both + MODELS.partition("[model_registry.models.learning]")[0])).listening[0].url
    )
    lines = "\n".join(
        json.dumps({"prompt": text, "target": f"{target}/m", "score": int(target == "small"), "group": group})
        for text, _ in questions(40, seed=9)
        for target in ("small", "large")
        for group in ("smart", "auto")
    )
    async with http.post(f"{learning}/admin/routing/import", data=lines, headers=ADMIN) as reply:
        assert reply.status == 200, await reply.text()

    async def order(url: str, text: str, model: str) -> tuple[str, list[str]]:
        headers = {**ADMIN, "x-intellirouter-explain": "1"}
        async with http.post(f"{url}/v1/chat/completions", json=asked(text, model), headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            told = json.loads(reply.headers["x-intellirouter-decision"])
            return reply.headers["x-intellirouter-provider"], told["order"]

    async def learnt() -> bool:
        return (await order(learning, "What is the capital of Peru?", "smart"))[1][0] == "small/m"

    deadline = time.monotonic() + 60
    while not await learnt():
        assert time.monotonic() < deadline
    async with http.put(f"{learning}/admin/features/all", json={"on": False}, headers=ADMIN) as reply:
        assert reply.status == 200
    for number, (text, _) in enumerate(questions(25, seed=3)):
        assert await order(learning, f"{number} {text}", "auto") == ("small", ["small/m"])  # the first model
        assert await order(learning, f"{number} {text}", "smart") == await order(
            plain, f"{number} {text}", "smart"
        )
    async with http.delete(f"{learning}/admin/features/all", headers=ADMIN) as reply:
        assert reply.status == 200
    deadline = time.monotonic() + 60
    while not await learnt():  # and back
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ({"on": False}, "off"),
        ({"share": 0.25}, "on for 25 % of requests"),
        ({"on": True, "teams": ["others"]}, "on for other keys and teams alone"),
        ({"on": True, "keys": ["admin"]}, None),
    ],
)
async def test_who_asks_why_is_told_that_the_choice_is_switched_off(
    switch: dict[str, Any],
    words: str | None,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    node = await start_node(provider(small, name="small") + provider(large, name="large") + MODELS + KEYS)
    url = node.listening[0].url

    async def why(model: str) -> dict[str, Any]:
        body = {"prompt": "What is the capital of Peru?", "model": model}
        async with http.post(f"{url}/admin/routing/explain", json=body, headers=ADMIN) as reply:
            found: dict[str, Any] = await reply.json()
            return found

    assert "switched" not in await why("auto")
    async with http.put(f"{url}/admin/features/model_selection", json=switch, headers=ADMIN) as reply:
        assert reply.status == 200, await reply.text()
    for model in ("auto", "smart"):
        assert (await why(model)).get("switched") == (words and {"model_selection": words})
    assert "switched" not in await why("small"), "there is nothing to choose"
    asking = ("route", "explain", "Why?", "--url", url, "--api-key", "sk-admin")
    done = await asyncio.to_thread(CliRunner().invoke, build("route"), asking)
    assert done.exit_code == 0, done.output
    assert (f"model_selection is {words}" in done.output) == (words is not None)


async def test_every_node_follows_and_the_file_holds_again_after_a_reset(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    node = await start_node(provider(small, name="small") + provider(large, name="large") + MODELS + KEYS)
    url = node.listening[0].url

    async def switch(method: str, feature: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        async with http.request(method, f"{url}/admin/features/{feature}", json=body, headers=ADMIN) as reply:
            return reply.status, await reply.json()

    assert await by(http, url, asked(HARD.format(7, 9), "auto/best")) == "large"
    assert (await switch("PUT", "all", {"on": False}))[0] == 200
    assert await by(http, url, asked(HARD.format(8, 9), "auto/best")) == "small"
    status, told = await switch("DELETE", "all")
    assert status == 200
    assert {row["from"] for row in told["data"]} == {"configuration"}
    deadline = time.monotonic() + 60
    while await by(http, url, asked(HARD.format(8, 9), "auto/best")) != "large":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    for feature, body, word in (
        ("magic", {"on": True}, "no feature"),
        ("all", {"share": 2}, "share"),
        ("all", {"share": "half"}, "share"),
        ("all", {"share": True}, "share"),
        ("all", {"share": 1, "keys": "k"}, "keys"),
        ("all", {"share": 1, "keys": [""]}, "keys"),
        ("all", {"share": 1, "teams": ["a" * 129]}, "teams"),
        ("all", {"share": 1, "teams": ["red\n"]}, "teams"),
        ("all", {"shares": 1}, "shares"),
    ):
        status, told = await switch("PUT", feature, body)
        assert status == 400
        assert word in told["error"]["message"]
    status, told = await switch(
        "PUT", "validation", {"share": 0.5, "keys": ["admin", "nobody"], "teams": ["red"]}
    )
    assert status == 200
    assert told["unknown"] == {"keys": ["nobody"], "teams": ["red"]}
    status, told = await switch("PUT", "validation", {"share": 0.5, "keys": ["admin"]})
    assert status == 200
    assert "unknown" not in told


@pytest.mark.parametrize(
    ("switch", "key", "team", "on"),
    [
        (Switch(), "k", None, True),
        (Switch(0.0), "k", None, False),
        (Switch(1.0, keys=("k",)), "k", None, True),
        (Switch(1.0, keys=("k",)), "other", None, False),
        (Switch(1.0, teams=("red",)), "other", "red", True),
        (Switch(0.0, keys=("k",)), "k", None, False),
    ],
)
def test_whom_a_switch_is_for(switch: Switch, key: str, team: str | None, on: bool) -> None:
    assert switch.holds("model_selection", key, team, "req_1") is on


def test_a_share_is_a_share_and_the_same_for_the_same_request() -> None:
    switch = Switch(0.3)
    held = [switch.holds("validation", "k", None, f"req_{n}") for n in range(4_000)]
    assert sum(held) == pytest.approx(1_200, rel=0.12)
    assert held[:50] == [switch.holds("validation", "k", None, f"req_{n}") for n in range(50)]


async def test_tiers_and_routes_name_the_target(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    table = """
[[router.routes]]
name = "translation"
targets = ["large/m"]
examples = ["Translate this letter into French"]
[[model_registry.models]]
name = "tiered"
targets = ["small/m", "large/m"]
[model_registry.models.learning]
explore = 0
[model_registry.models.learning.tiers]
simple = "small/m"
reasoning = "large/m"
"""
    node = await start_node(provider(small, name="small") + provider(large, name="large") + table)
    url = node.listening[0].url
    assert await by(http, url, asked("What is the capital of Peru?", "tiered")) == "small"
    assert await by(http, url, asked("Prove by induction, step by step, that 1 = 1.", "tiered")) == "large"
    assert await by(http, url, asked("Translate this note into French", "tiered")) == "large"
