"""Budgets of end users and tags, and the thresholds that are told before a budget is used up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from intellirouter.roles.keys import STATE
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY
from tests.roles.router.test_records import keys
from tests.servers.vendor import Play

PRICE = """
[[model_registry.models]]
name = "priced"
targets = ["primary/m"]
price = { input = 0, output = 10000 }
"""  # an answer of 3 tokens is 3 cents


async def ask(
    http: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None, **more: Any
) -> int:
    body = {**BODY, "model": "priced", "max_tokens": 3, **more}
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        if reply.status == 402:
            assert "budget" in await reply.text()
        return reply.status


NAMED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("users", {"user": "ann"}, {}),
    ("users", {"metadata": {"user_id": "ann"}}, {}),
    ("users", {"safety_identifier": "ann"}, {}),
    ("tags", {"metadata": {"tags": ["x", "ann"]}}, {}),
    ("tags", {"metadata": {"tags": "x, ann"}}, {}),
    ("tags", {"intellirouter": {"tags": ["ann"]}}, {}),
    ("tags", {}, {"x-litellm-tags": "x,ann"}),
]


@pytest.mark.parametrize(("kind", "more", "headers"), NAMED)
async def test_a_budget_holds_for_a_user_and_for_a_tag_however_they_are_named(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    kind: str,
    more: dict[str, Any],
    headers: dict[str, str],
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + PRICE + f"[budgets.{kind}.ann]\nday = 0.07\n")
    url = node.listening[0].url
    assert [await ask(http, url, headers, **more) for _ in range(3)] == [200, 200, 402]
    assert await ask(http, url) == 200, "nobody else is concerned"
    assert await ask(http, url, user="bob", metadata={"tags": ["other"]}) == 200


async def test_how_budgets_stand_is_told_to_who_may_see_what_was_spent(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(
        provider(vendor)
        + PRICE
        + "[budgets.users.ann]\ntotal = 1.0\n[budgets.tags.blue]\nday = 0.5\nmonth = 2.0\n[budgets.keys.red]\nhour = 3.0\n"
        + keys(red='tenant = "acme"', boss='scopes = ["admin", "inference"]')
    )
    url = node.listening[0].url
    boss = {"authorization": "Bearer boss-key"}
    fields = {"name": "made", "tenant": "other", "budgets": {"day": 5.0}}
    async with http.post(f"{url}/admin/keys", headers=boss, json=fields) as reply:
        made = {"authorization": f"Bearer {(await reply.json())['secret']}"}
    assert await ask(http, url, made) == 200
    red = {"authorization": "Bearer red-key"}
    assert await ask(http, url, red, user="ann", metadata={"tags": ["blue"]}) == 200
    async with http.get(f"{url}/admin/budgets", headers=red) as reply:
        assert reply.status == 403
    async with http.get(f"{url}/admin/budgets", headers=boss) as reply:
        told = {
            (one["kind"], one["name"], one["tenant"], one["period"]): one
            for one in (await reply.json())["data"]
        }
    mine = [
        ("key", "red", None, "hour"),
        ("key", "made", None, "day"),
        ("tag", "blue", "acme", "day"),
        ("tag", "blue", "acme", "month"),
        ("user", "ann", "acme", "total"),
    ]
    assert [round(told[name]["used"], 6) for name in mine] == [0.03] * 5
    assert told["tag", "blue", "default", "day"]["used"] == 0
    assert 0 < told["key", "red", None, "hour"]["resets_in"] <= 3600 and told[mine[4]]["resets_in"] is None
    assert told["user", "ann", "other", "total"]["used"] == 0, "of the tenants of made keys too"


async def test_each_tenant_has_the_budget_of_its_own_users(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(
        provider(vendor)
        + PRICE
        + "[budgets.users.ann]\ntotal = 0.04\n"
        + keys(red='tenant = "red"', blue='tenant = "blue"')
    )
    url = node.listening[0].url
    for name in ("red", "blue"):
        headers = {"authorization": f"Bearer {name}-key"}
        assert [await ask(http, url, headers, user="ann") for _ in range(2)] == [200, 402]


async def test_thresholds_are_told_once_each(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + PRICE + "[budgets.tags.ann]\nmonth = 0.11\n")
    url = node.listening[0].url
    told: list[tuple[str, int]] = []
    async with node.opened[STATE].subscribe("limits:all:budget") as events, asyncio.timeout(60):
        for expected in ([], [50], [80], [100]):  # 27 %, 55 %, 82 %, refused
            await ask(http, url, metadata={"tags": ["ann"]})
            for percent in expected:
                event = json.loads((await anext(events)).payload)
                told.append((event["who"], event["percent"]))
                assert event["limit"] == 0.11 and event["period"] == "month" and percent
    assert told == [("tag:ann", 50), ("tag:ann", 80), ("tag:ann", 100)]
