"""The hybrid drill: an edge whose centre is away for an hour, and what the centre has afterwards.

    python -m scripts.hybrid_drill [RUNS] [postgres] [grpc]

RUNS (500) are started at the edge while nobody answers at the centre's address; the edge is killed with SIGKILL in the middle of them. An
hour of tries passes on a clock that is driven, not slept. Then the centre comes up, on a file or on Postgres, and is killed with SIGKILL while it
takes runs. Exit code 1 unless the centre has each run once, as it ended, and its record each row of the edge's record once.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from intellirouter.app.components.records import open_whole
from intellirouter.app.components.remote_centre import centre
from intellirouter.app.node import Node
from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from intellirouter.config.schema.settings import Settings
from intellirouter.records.query import Query
from intellirouter.records.store import Store
from intellirouter.roles.chain_engine.edges.forwarding import Forwarding
from intellirouter.roles.chain_engine.edges.goods import Runs
from intellirouter.roles.chain_engine.edges.rows import Rows
from intellirouter.roles.chain_engine.edges.telling import Telling
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.keys import RECORDS
from tests.roles.chain_engine.edges.test_edge_nodes import CENTRE, hybrid
from tests.roles.chain_engine.edges.test_forwarding import QUICK
from tests.roles.chain_engine.test_api import Client, auth
from tests.servers.ports import free_port
from tests.servers.postgres import postgres
from tests.servers.process import node_process

HOUR = 3600.0
AT_ONCE = 8


async def drill(runs: int, folder: Path, database: str, protocol: str) -> int:
    """The exit code."""
    port, grpc_port = free_port(), free_port()
    edge_file, centre_file = folder / "edge.toml", folder / "centre.toml"
    data = f'[paths]\ndata_dir = "{folder / "edge"}"\n'
    spoken = f"http://127.0.0.1:{grpc_port if protocol == 'grpc' else port}"
    edge_file.write_text(hybrid(spoken, more=f'protocol = "{protocol}"\nlongest_pause_seconds = 60\n{data}'))
    listens = f'[server]\nport = {port}\ngrpc_port = {grpc_port}\n[paths]\ndata_dir = "{folder / "centre"}"\n'
    table = (
        f'[records]\ndatabase_url = "{database}"\n[chain_engine]\ndatabase_url = "{database}"\n'
        if database
        else ""
    )
    centre_file.write_text(auth(ann="default") + listens + table + CENTRE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        ids = await _killed(http, edge_file, runs)
        flags: dict[tuple[str | int, ...], object] = {("server", "port"): 0}
        async with running(load(edge_file, {}, flags), select("ChainEngine")) as node:
            ask = Client(http, node.listening[0].url)
            ids |= await _started(ask, range(runs))
            await _ended(ask, len(ids))
            tries = await _an_hour(node)
            print(f"{len(ids)} runs at the edge, one kill; an hour without the centre: {tries} tries")
            found = await _brought(
                http, centre_file, f"http://127.0.0.1:{port}", runs, partial(_rows_gone, node)
            )
            rows = await node.opened[RECORDS].ask(_rows)
    adopted = await asyncio.to_thread(_adopted, load(centre_file, {}, {}).settings)
    counts = Counter(run["edge_run"] for run in found)
    wrong = [run["id"] for run in found if run["status"] != "succeeded" or run["edge"] != "shop"]
    outputs = sorted(run["output"] for run in found)
    print(
        f"the centre has {len(found)} runs: {len(ids - counts.keys())} missing, {sum(counts.values()) - len(counts)} twice, "
        f"{len(wrong)} not as they ended"
    )
    print(
        f"its record has {adopted.total()} rows of {rows.total()} at the edge: {(rows - adopted).total()} missing, "
        f"{(adopted - rows).total()} too many"
    )
    same = adopted == rows and rows.total() >= runs  # a kill costs the rows of its last moment
    return int(
        counts.keys() != ids or len(found) != runs or bool(wrong) or outputs != list(range(runs)) or not same
    )


def _rows(store: Store, node: str = "") -> Counter[tuple[Any, ...]]:
    """What tells the rows of a record apart that have a tenant; of the nodes that are named so."""
    pages = store.rows(Query(), 10_000_000)
    return Counter(
        (row.request_id, row.role, row.path, row.ended, row.cost_usd)
        for page in pages
        for row in page
        if row.tenant and row.node.startswith(node)
    )


def _adopted(settings: Settings) -> Counter[tuple[Any, ...]]:
    with contextlib.closing(open_whole(settings)) as store:
        return _rows(store, "shop:")


async def _rows_gone(node: Node) -> None:
    """Wait until the edge has brought every row."""
    rows = node.opened[ENGINE].link.rows
    rows.gather = 0.0
    async with asyncio.timeout(300):
        while True:
            await node.opened[RECORDS].ask(Store.size)  # rows of what is held
            if not (await rows.leaving()).waiting:
                return
            await asyncio.sleep(0.2)


async def _killed(http: aiohttp.ClientSession, file: Path, runs: int) -> set[str]:
    """Half of the runs, at an edge that dies over them; the ids that were told."""
    async with node_process("--role", "ChainEngine", "--config", str(file)) as edge:
        ask = Client(http, await edge.url())
        assert (await ask("PUT", "/v1/chains/quick", {"source": QUICK}))[0] == 201
        ids = await _started(ask, range(runs // 2))
        edge.signal(signal.SIGKILL)
        await edge.wait()
    return ids


async def _started(ask: Client, numbers: range) -> set[str]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> str:
        async with places:
            body = {"input": {"n": number}, "mode": "background"}
            key = {"idempotency-key": f"drill-{number}"}
            return str((await ask("POST", "/v1/chains/quick/runs", body, **key))[1]["id"])

    return set(await asyncio.gather(*(one(number) for number in numbers)))


async def _ended(ask: Client, count: int) -> None:
    async with asyncio.timeout(300):
        while True:
            if sum(run["status"] == "succeeded" for run in await _listed(ask)) >= count:
                return
            await asyncio.sleep(0.5)


async def _listed(ask: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        _, page = await ask("GET", f"/v1/runs?limit=100{after}")
        found += page["data"]
        if not page["has_more"]:
            return found
        after = f"&after={page['after']}"


async def _an_hour(node: Node) -> int:
    """How often the centre is asked in an hour in which it does not answer."""
    service, now = node.opened[ENGINE], time.time()
    end, tries = now + HOUR, 0
    async with centre(node.loaded.settings) as there:
        link = service.link
        goods = [Runs(link.outbox, Telling(service)), Rows(node.opened[RECORDS])]
        driven = Forwarding(link.forwarding.section, goods, there, clock=lambda: now)
        while now < end:
            now += await driven.once()
            tries += 1
    return tries


async def _brought(
    http: aiohttp.ClientSession, file: Path, url: str, runs: int, rows_gone: Callable[[], Awaitable[None]]
) -> list[dict[str, Any]]:
    """What the centre has once all should be there; it is killed when it has the first of them."""
    ask = Client(http, url)
    for killed in (False, True):
        async with node_process("--role", "ChainEngine", "--config", str(file)) as node:
            await node.url()
            async with asyncio.timeout(300):
                while True:
                    found = await _listed(ask)
                    if len(found) >= (runs if killed else 1):
                        break
                    await asyncio.sleep(0.2)
            if killed:
                await rows_gone()
                await asyncio.sleep(3)  # whatever might come twice
                return await _listed(ask)
            print(f"the centre is killed with {len(found)} runs")
            node.signal(signal.SIGKILL)
            await node.wait()
    return []


def main(arguments: list[str]) -> int:
    """The exit code."""
    numbers = [int(argument) for argument in arguments if argument.isdecimal()]
    if wrong := set(arguments) - set(map(str, numbers)) - {"postgres", "grpc"}:
        print(f"no such word: {', '.join(sorted(wrong))}", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="hybrid-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = stack.enter_context(postgres()) if "postgres" in arguments else ""
        protocol = "grpc" if "grpc" in arguments else "http"
        return asyncio.run(drill(numbers[0] if numbers else 500, folder, database, protocol))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
