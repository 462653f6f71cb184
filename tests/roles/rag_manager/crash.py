"""Kill a part during ingestion, let the rest go on or start again, and compare with what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from intellirouter.roles.rag_manager import catalog
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.open import open_rag
from tests.roles.rag_manager.crash_child import COLLECTION, DOCUMENTS, TENANT, section
from tests.servers.chroma import chroma_server

Part = Literal["process", "store", "server"]
SECONDS = 120


@dataclass(slots=True)
class Report:
    """What was found afterwards."""

    acknowledged: set[str] = field(default_factory=set)
    killed: bool = False
    starts: int = 0
    problems: list[str] = field(default_factory=list)


async def crash(folder: Path, part: Part, seconds: float) -> Report:
    """Kill `part` so long after the first document is acknowledged."""
    report = Report()
    async with asyncio.timeout(SECONDS), contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(_Server.opened(folder)) if part == "server" else None
        url = server.url if server else ""
        while True:
            async with _child(folder, url) as process:
                report.starts += 1
                done = await _watch(process, report, part, seconds, server)
            if done:
                break
        await _check(folder / "node", url, report)
    return report


class _Server:
    """A Chroma server that can be killed and comes back on the same port and directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self.url = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, folder: Path) -> AsyncIterator[_Server]:
        server = cls(folder)
        await server.start(None)
        try:
            yield server
        finally:
            await server._stack.aclose()

    async def start(self, port: int | None) -> None:
        self.url, _ = await self._stack.enter_async_context(chroma_server(self._folder / "chroma", port))

    async def restart(self) -> None:
        await self._stack.aclose()  # by SIGKILL
        await asyncio.sleep(0.3)
        await self.start(int(self.url.rpartition(":")[2]))


@contextlib.asynccontextmanager
async def _child(folder: Path, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.roles.rag_manager.crash_child", str(folder / "node"), url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _watch(
    process: asyncio.subprocess.Process, report: Report, part: Part, seconds: float, server: _Server | None
) -> bool:
    """Note what is acknowledged and strike once; True when the process says that all is done."""
    strike: asyncio.Task[None] | None = None
    done = False
    if process.stdout is None:
        raise BrokenPipeError
    async for raw in process.stdout:
        line = raw.decode().strip()
        if line.startswith("ack "):
            report.acknowledged.add(line.removeprefix("ack "))
            if strike is None and not report.killed:
                strike = asyncio.create_task(_strike(process.pid, report, part, seconds, server))
        done = done or line == "done"
    if strike is not None:
        if done and not report.killed:  # what was killed is to come back before anything is compared
            strike.cancel()
        await asyncio.gather(strike, return_exceptions=True)
    return done


async def _strike(pid: int, report: Report, part: Part, seconds: float, server: _Server | None) -> None:
    if part == "store":
        while True:
            if _stores_of(pid):
                break
            await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    if server is not None:
        report.killed = True
        await server.restart()
    else:
        for victim in [pid] if part == "process" else _stores_of(pid):
            report.killed = True
            os.kill(victim, signal.SIGKILL)


def _stores_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"chroma.child" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


async def _check(node: Path, url: str, report: Report) -> None:
    async with open_rag(section(url), node) as service:
        documents = {row["name"]: row["status"] for row in await service.documents(TENANT, COLLECTION)}
        if lost := report.acknowledged - documents.keys():
            report.problems.append(f"acknowledged and lost: {sorted(lost)}")
        if unready := {name for name, status in documents.items() if status != "ready"}:
            report.problems.append(f"not ready: {sorted(unready)}")
        missing, stray = await service.verify(TENANT, COLLECTION)
        if missing or stray:
            report.problems.append(
                f"{len(missing)} chunks without a vector, {len(stray)} vectors without a chunk"
            )

        def texts(db: sqlite3.Connection) -> list[Row]:
            words = "select d.name, count(*) as n, count(distinct k.text) as texts from chunks k join documents d on d.id = k.document group by d.name"
            return catalog.rows(db, words, ())

        for row in await service.engine.read(texts):
            expected = DOCUMENTS[row["name"]].count("# Part")
            if (row["n"], row["texts"]) != (expected, expected):
                report.problems.append(
                    f"{row['name']}: {row['n']} chunks, {row['texts']} texts of {expected}"
                )
        if documents.keys() != DOCUMENTS.keys():
            report.problems.append(f"documents: {sorted(documents)}")
