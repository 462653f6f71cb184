"""The record never costs a request: not with a full disk, a locked file, a killed database; and a killed node loses its last moment alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from intellirouter.app.node import Node
from intellirouter.errors import StateUnavailable
from intellirouter.records.held import release_all
from intellirouter.records.query import Query
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.roles.router.recorded import JOTTED
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY
from tests.roles.router.test_records import recorded
from tests.servers.postgres import postgres
from tests.servers.process import NodeProcess, node_process
from tests.servers.vendor import Play

KILLS = int(os.environ.get("KILLS", "0"))
"""So many kills on a machine that does nothing else, where a second is a second: `KILLS=20`. Otherwise two, and no clock."""
AT_ONCE = 8
LOST_SECONDS = 1.0


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 60
    while not await done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def postmaster(directory: str) -> int:
    return int(Path(directory, "postmaster.pid").read_text().split()[0])


class Load:
    """Clients that ask without a pause, and what came of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered: list[tuple[str, float]] = []  # request id, when
        self.failed: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            clients = [asyncio.create_task(self._client(http, number)) for number in range(AT_ONCE)]
            try:
                yield self
            finally:
                for client in clients:
                    client.cancel()
                await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, http: aiohttp.ClientSession, number: int) -> None:
        count = 0
        while True:
            count += 1
            name = f"c{number}-{count}-{time.time_ns()}"
            async with http.post(
                f"{self.url}/v1/chat/completions", json=BODY, headers={"x-request-id": name}
            ) as reply:
                if reply.status == 200:
                    self.answered.append((name, time.time()))
                else:
                    self.failed.append(await reply.text())

    async def until(self, count: int) -> None:
        """So many more are answered."""
        wanted = len(self.answered) + count

        async def enough() -> bool:
            return len(self.answered) >= wanted

        await until(enough)


async def health_of(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as reply:
        part: dict[str, Any] = (await reply.json())["parts"]["records"]
        return part


async def until_health(url: str, words: str) -> None:
    async def said() -> bool:
        return re.search(words, (await health_of(url))["reason"]) is not None

    await until(said)


async def dropped(url: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as reply:
        found = re.search(r"^intellirouter_records_dropped_total (\S+)$", await reply.text(), re.M)
        assert found is not None
        return float(found[1])


def written(file: Path) -> set[str]:
    """What is in the record, each request once: of what a node that was killed, or is at work, holds and has made no rows of, they are made."""
    with contextlib.closing(SqliteStore(file)) as store:
        release_all(store.held, JOTTED.rows)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        names = [line[0] for line in connection.execute("select request_id from requests")]
        assert len(names) == len(set(names))
        return set(names)


async def until_written(file: Path, name: str = "") -> set[str]:
    """What the record holds once it holds a row, or that of the request `name`."""
    for _ in range(600):
        with contextlib.suppress(sqlite3.OperationalError, StateUnavailable):  # its table is not made yet
            there = await asyncio.to_thread(written, file)
            if name in there or (there and not name):
                return there
        await asyncio.sleep(0.1)
    raise AssertionError("nothing was recorded")


@pytest.mark.timeout(400)
async def test_a_full_disk_costs_rows_and_no_request_and_is_told(
    start_vendor: StartVendor, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    file = tmp_path / "node.toml"
    file.write_text(
        f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n[records]\nmax_waiting_rows = 100\n'
        + provider(vendor)
    )
    async with (
        node_process("--role", "Router", "--config", str(file)) as node,
        Load(await node.url()).running() as load,
    ):
        await until_written(tmp_path / "data" / "requests.db")
        # no file may grow beyond a megabyte: for SQLite a disk that is full
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        await until_health(load.url, "missing from the record")
        await load.until(200)
        assert await dropped(load.url) > 0
    assert not load.failed
    assert written(tmp_path / "data" / "requests.db")


@pytest.mark.timeout(300)
async def test_a_locked_file_costs_no_request_and_its_rows_come_later(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor))
    url, file = node.listening[0].url, node.loaded.settings.paths.data_dir / "requests.db"
    async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
        assert reply.status == 200
    await recorded(http, node)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")
        async with Load(url).running() as load:
            await load.until(50)
            await until_health(url, "locked")
        assert not load.failed
        other.execute("rollback")
    missing = {name for name, _ in load.answered}

    async def all_there() -> bool:
        """Looks through the pages for those that were not seen yet."""
        cursor = ""
        while cursor is not None and missing:
            async with http.get(f"{url}/admin/requests?limit=1000&cursor={cursor}") as reply:
                page = await reply.json()
            missing.difference_update(row["request_id"] for row in page["data"])
            cursor = page["next"]
        return not missing

    await until(all_there)
    assert await dropped(url) == 0

    async def well() -> bool:
        return bool((await health_of(url))["status"] == "healthy")

    await until(well)


@pytest.mark.timeout(400)
async def test_a_database_server_that_is_killed_under_load_costs_rows_and_no_request(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    with postgres() as address:
        node: Node = await start_node(
            provider(vendor) + f'[records]\ndatabase_url = "{address}"\nmax_waiting_rows = 100\n'
        )
        url = node.listening[0].url
        async with Load(url).running() as load, aiohttp.ClientSession() as http:
            await recorded(http, node, until=lambda rows: len(rows) > 10)
            with psycopg.connect(address) as connection:
                shown = connection.execute("show data_directory").fetchone()
            assert shown is not None
            os.kill(postmaster(shown[0]), signal.SIGKILL)
            await until_health(url, "missing from the record")
            await load.until(100)
            assert await dropped(url) > 0
            async with http.get(f"{url}/admin/requests") as reply:
                assert reply.status == 503 and "Postgres" in await reply.text()
        assert not load.failed


@pytest.mark.timeout(600)
async def test_a_node_that_is_killed_under_load_loses_only_its_last_rows(
    start_vendor: StartVendor, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    file, data = tmp_path / "node.toml", tmp_path / "data" / "requests.db"
    file.write_text(f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n' + provider(vendor))
    before: list[tuple[str, float]] = []
    seen: set[str] = set()
    for _ in range(KILLS or 2):
        node: NodeProcess
        async with node_process("--role", "Router", "--config", str(file)) as node:
            load = Load(await node.url())
            with contextlib.suppress(aiohttp.ClientError):
                async with load.running():
                    await load.until(300)
                    first = load.answered[0][0]
                    seen = await until_written(data, first)
                    await asyncio.sleep(
                        1.0 if KILLS else 0.0
                    )  # so that there is something older than a second
                    killed = time.time()
                    node.signal(signal.SIGKILL)
                    await node.wait()
        there = written(data)
        assert seen <= there, "what could be read is kept"
        missing = [index for index, (name, _) in enumerate(load.answered) if name not in there]
        kept = len(load.answered) - len(missing)
        assert not missing or missing[0] > kept - 2 * AT_ONCE, "what is lost are the last ones"
        if KILLS:
            before += [(name, when) for name, when in load.answered if when < killed - LOST_SECONDS]
            lost = [(name, killed - when) for name, when in before if name not in there]
            assert not lost, f"{len(lost)} of {len(before)}: {lost[:5]}"
        with contextlib.closing(SqliteStore(data)) as store:
            assert store.total(Query()).requests == store.size().rows >= len(there)
            assert store.check(100) == 0
        assert not load.failed
