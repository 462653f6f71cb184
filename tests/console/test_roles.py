"""Each role sees the pages of what it may see, whole, and no button for what it may not do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from scripts.console_node import BOSS, console_node, traffic
from tests.console.conftest import Seat, browser, seat
from tests.console.flows import PAGES, sign_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
HEADERS = {"authorization": f"Bearer {BOSS}"}
REFUSED = "This is shown to whoever has the permission"
WRITES = {
    "Make a key", "Add a person", "Change settings", "Add a model", "New persona", "New collection", "Make the first one",
    "Write a chain", "Rotate", "Revoke", "Drain", "Drain this node", "Turn off", "Turn everything off", "Clear",
}  # fmt: skip
"""Buttons that change something."""
ROLES: dict[str, tuple[set[str], set[str]]] = {
    # what is kept from it, and which buttons that change something it has
    "viewer": ({"alerts", "keys", "tools", "routing", "audit", "playground", "system"}, set()),
    "operator": (
        {"audit", "playground"},
        {"Add a model", "Drain this node", "Turn off", "Turn everything off", "Clear"},
    ),
    "auditor": ({"models", "personas", "playground", "chains", "documents"}, set()),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with console_node(tmp_path_factory.mktemp("roles"), keys=True) as (node, _):
        found = next(listening.url for listening in node.listening if listening.role == "Router")
        await traffic(found, 12, HEADERS)
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def key_of(url: str, role: str) -> str:
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        body = {"name": f"a-{role}", "roles": [role]}
        async with http.post(f"{url}/admin/keys", json=body) as reply:
            assert reply.status == 201, await reply.text()
            secret: str = (await reply.json())["secret"]
            return secret


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_sees_what_it_may_and_is_offered_nothing_more(
    started: Browser, url: str, role: str
) -> None:
    kept_from, may_do = ROLES[role]
    async with seat(started, url) as found:
        await sign_in(found, key=await key_of(url, role))
        refused, offered = set(), set()
        for name, title in PAGES.items():
            await found.open(name)
            await expect(found.page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
            if await found.page.get_by_text(REFUSED).count():
                refused.add(name)
            offered |= await buttons(found)
        assert refused == kept_from
        assert offered & WRITES == may_do


async def buttons(found: Seat) -> set[str]:
    """What the buttons of the page say."""
    return set(await found.page.locator("main button").all_inner_texts())
