"""A hundred thousand ended runs on SQLite: how fast they are listed, and what retention gives back to the disk.

    python -m scripts.many_runs [RUNS]

One run of ten steps is walked and copied RUNS times (100,000), half of them older than `retention_days`. Exit code 1 when a page
of the newest runs takes 50 ms or more of the processor, or retention leaves an old run, takes a young one, or keeps the disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import Loaded, load
from intellirouter.roles.chain_engine.keeper import DAY
from intellirouter.telemetry import logs

CHAIN = "chain: {name: ten}\nsteps: [{id: m, map: {over: '[1,2,3,4,5,6,7,8,9,10]', as: x, max_items: 10}, do: [{id: n, sleep: 1ms}]}]"
PAGES = {
    "the newest 20": "limit=20",
    "the newest 100": "limit=100",
    "100 of a chain": "limit=100&chain=ten",
    "100 that succeeded": "limit=100&status=succeeded",
    "100 further back": "limit=100&after={middle}",
}
TIMES = 20
MOST_MS = 50.0
KEPT_DAYS = 30.0


async def main(runs: int) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        logs.configure(level="warning", levels={}, json=False, file=None, role="")
        kept = configured(Path(folder), 0)
        async with running(kept, select("ChainEngine")) as node, aiohttp.ClientSession() as http:
            url = node.listening[0].url
            async with http.put(f"{url}/v1/chains/ten", json={"source": CHAIN}) as reply:
                assert reply.status == 201, await reply.text()
            async with http.post(f"{url}/v1/chains/ten/runs", json={}) as reply:
                template = (await reply.json())["id"]
        database = Path(folder) / "data" / "chains.db"
        began = time.perf_counter()
        middle = copy(database, template, runs)
        print(f"{runs} runs in {time.perf_counter() - began:.0f} s, {size(database):.0f} MB")
        async with running(kept, select("ChainEngine")) as node, aiohttp.ClientSession() as http:
            slow = await listed(http, node.listening[0].url, middle)
        before, began, used = size(database), time.perf_counter(), time.process_time()
        swept = configured(
            Path(folder), int(KEPT_DAYS)
        )  # a node sweeps when it starts, and every ten minutes
        async with running(swept, select("ChainEngine")) as node, aiohttp.ClientSession() as http:
            waited = [0.0]
            while await asyncio.to_thread(counted, database, "<"):
                asked = time.perf_counter()
                async with http.get(f"{node.listening[0].url}/v1/runs?limit=100") as reply:
                    await reply.read()
                waited.append((time.perf_counter() - asked) * 1e3)
                await asyncio.sleep(0.2)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
        after, young = size(database), counted(database, ">")
        print(
            f"retention: swept in {wall:.0f} s ({cpu:.0f} s of the processor), {young} left; {before:.0f} MB before, {after:.0f} MB after; "
            f"100 runs meanwhile: median {statistics.median(waited):.1f} ms, longest {max(waited):.1f} ms"
        )
        return int(slow or young < runs // 2 or after > 0.6 * before)


def configured(folder: Path, days: int) -> Loaded:
    """A node that keeps runs for so many days; 0: for ever."""
    file = folder / "node.toml"
    file.write_text(f'[telemetry]\nlog_level = "warning"\n[chain_engine]\nretention_days = {days}\n')
    return load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): folder / "data"})


def size(database: Path) -> float:
    """MB on the disk, with what stands in the log."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    return database.stat().st_size / 1e6


def counted(database: Path, side: str) -> int:
    """Runs that are older, or younger, than what is kept."""
    with closing(sqlite3.connect(database)) as db:
        words = f"select count(*) from intellirouter_chain_runs where created {side} ?"
        (count,) = db.execute(words, (time.time() - KEPT_DAYS * DAY,)).fetchone()
    return int(count)


def copy(database: Path, template: str, runs: int) -> str:
    """As many runs as the template, the older half of them older than what is kept; the id of one of the younger half's middle."""
    with closing(sqlite3.connect(database)) as db, db:
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        db.execute("create temp table made (i integer primary key, id text)")
        db.execute(
            f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {runs}) "
            "insert into made select i, 'run_' || lower(hex(randomblob(12))) from n"
        )
        age = f"(i - {runs}) * 20.0 - case when i <= {runs // 2} then 40 * {DAY} else 0 end"
        for table in tables:
            columns = [row[1] for row in db.execute(f"pragma table_info({table})")]
            own = next((name for name in columns if name in ("run_id", "workflow_uuid", "workflow_id")), "")
            if (
                not own
                or not db.execute(f"select 1 from {table} where {own} = ? limit 1", (template,)).fetchone()
            ):
                continue
            values = [
                "m.id"
                if name == own
                else f"{time.time()} + {age}"
                if table.endswith("chain_runs") and name == "created"
                else f"t.{name}"
                for name in columns
            ]
            db.execute(
                f"insert into {table} ({', '.join(columns)}) select {', '.join(values)} from made m, {table} t where t.{own} = ? order by i",
                (template,),
            )
        (middle,) = db.execute("select id from made where i = ?", (runs * 3 // 4,)).fetchone()
        return str(middle)


async def listed(http: aiohttp.ClientSession, url: str, middle: str) -> int:
    """1 where a page is slow."""
    slow = 0
    for name, query in PAGES.items():
        walls, cpus = [], []
        for _ in range(TIMES):
            began, used = time.perf_counter(), time.process_time()
            async with http.get(f"{url}/v1/runs?{query.format(middle=middle)}") as reply:
                found: Any = await reply.json()
            walls.append((time.perf_counter() - began) * 1e3)
            cpus.append((time.process_time() - used) * 1e3)
        assert reply.status == 200, found
        cpu = statistics.median(cpus)
        slow |= cpu >= MOST_MS
        print(
            f"{name:>20}: {len(found['data'])} runs, median {statistics.median(walls):.1f} ms, longest {max(walls):.1f} ms, "
            f"of the processor {cpu:.1f} ms"
        )
    return int(slow)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
