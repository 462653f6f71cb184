"""The list of requests as it grows before whoever looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from scripts.console_node import BOSS, console_node
from tests.console.conftest import browser, seat
from tests.console.flows import sign_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
HEADERS = {"authorization": f"Bearer {BOSS}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with console_node(tmp_path_factory.mktemp("live"), keys=True) as (node, _):
        yield node.listening[0].url


@pytest.mark.parametrize("status", [421, 503])
async def test_the_list_of_requests_goes_on_after_a_refusal_that_does_not_last(
    started: Browser, url: str, status: int
) -> None:
    refused = asyncio.Event()

    async def refuse(route: Route) -> None:
        refused.set()
        await route.fulfill(status=status, body="not now")

    async with seat(started, url) as found:
        await sign_in(found)
        found.refusals = True
        await found.page.route("**/admin/requests/stream**", refuse, times=1)
        await found.turn_to("Requests")
        async with asyncio.timeout(60):
            await refused.wait()
        user = f"behind-{status}"
        body = {"model": "swift", "user": user, "messages": [{"role": "user", "content": "Hello"}]}
        async with (
            aiohttp.ClientSession(headers=HEADERS) as session,
            session.post(f"{url}/v1/chat/completions", json=body) as told,
        ):
            assert told.status == 200
        await expect(found.page.locator("main").get_by_text(user).first).to_be_visible()
