"""Every page of the console before a node with much in it: a part is shown, and one goes on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import expect

from intellirouter.records.row import Row, id_at
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.roles.keys import RECORDS
from scripts.console_node import BOSS, console_node
from tests.console.conftest import browser, seat
from tests.console.flows import PAGES, sign_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
ROWS, MODELS, RUNS = 100_000, 1_000, 500
HEADERS = {"authorization": f"Bearer {BOSS}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a node with a hundred thousand requests, a thousand models and five hundred runs."""
    folder: Path = tmp_path_factory.mktemp("full")
    async with console_node(folder, keys=True, more=MODELS) as (node, _):
        records = node.opened[RECORDS]
        assert records is not None
        await records.act(lambda store: fill(store))
        await run_many(next(one.url for one in node.listening if one.role == "ChainEngine"))
        yield node.listening[0].url


def fill(store: object) -> None:
    """Rows of the last six days, of many models, people and tags."""
    assert isinstance(store, SqliteStore)
    chance, now = random.Random(3), time.time()
    for start in range(0, ROWS, 10_000):
        rows = []
        for number in range(start, start + 10_000):
            ended = now - 600 - number * 5
            rows.append(
                Row(
                    id=id_at(ended) + number % 7,
                    ended=ended,
                    seconds=chance.random() * 3,
                    request_id=f"req_{number}",
                    session=f"session-{number // 20}",
                    role="Router",
                    method="POST",
                    path="/v1/chat/completions",
                    endpoint="chat_completions",
                    status=200 if number % 50 else 503,
                    error="" if number % 50 else "upstream_unavailable",
                    key="boss",
                    tenant="default",
                    user=f"person-{number % 900}",
                    tags=(f"project-{number % 40}",),
                    model=f"fleet-{number % MODELS:04}",
                    served_model=f"fleet-{number % MODELS:04}",
                    provider="lab",
                    input_tokens=chance.randint(10, 4000),
                    output_tokens=chance.randint(1, 900),
                    cost_usd=chance.random() / 100,
                    dearest_usd=0.02,
                )
            )
        store.write(rows)


async def run_many(url: str) -> None:
    """A chain of one step, run so often that its list has many pages."""
    definition = {
        "chain": {"name": "many", "version": 1},
        "steps": [{"id": "shape", "set": {"said": "'done'"}}],
    }
    async with aiohttp.ClientSession(url, headers=HEADERS) as session:
        async with session.put("/v1/chains/many", json={"definition": definition}) as response:
            assert response.status in (200, 201), await response.text()
        places = asyncio.Semaphore(16)

        async def run() -> None:
            body = {"input": {}, "mode": "background"}
            async with places, session.post("/v1/chains/many/runs", json=body) as response:
                assert response.status in (200, 201, 202), await response.text()

        await asyncio.gather(*(run() for _ in range(RUNS)))


async def test_a_full_page_shows_a_part_and_goes_on(full: str) -> None:
    async with browser() as started, seat(started, full) as found:
        await sign_in(found)
        for name, title in PAGES.items():
            await found.turn_to(title)
            pieces = await found.page.evaluate("document.querySelectorAll('main *').length")
            assert pieces < 6_000, f"{name}: {pieces} elements"
        rows = found.page.get_by_role("main").get_by_role("row")
        await found.turn_to("Requests")
        await expect(rows).to_have_count(51)
        await found.page.get_by_role("button", name="Load more").click()
        await expect(rows).to_have_count(101)
        await found.turn_to("Usage")
        await expect(found.page.get_by_text("100K").first).to_be_visible()
        await found.turn_to("Models")
        await expect(rows).to_have_count(101)
        await found.page.get_by_role("searchbox", name="Search").fill("fleet-0999")
        await expect(rows).to_have_count(2)  # and the heading
        await found.turn_to("Chains")
        runs = found.page.get_by_role("region", name="Runs").last.get_by_role("row")
        await expect(runs).to_have_count(51)
        await found.page.get_by_role("button", name="Load more").click()
        await expect(runs).to_have_count(101)
