"""Processes that tests start and stop by their own pid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.servers.warm.process import WarmProcess, started

ROOT = Path(__file__).parents[2]


class NodeProcess:
    """`intellirouter run` in a process of its own. Its log lines are read as they come."""

    def __init__(self, process: WarmProcess | asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                record = json.loads(line)
            except ValueError:
                record = {"event": line.decode(errors="replace").rstrip()}
            async with self._changed:
                self.lines.append(record)
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()

    async def event(self, name: str, *, count: int = 1, seconds: float = 60) -> dict[str, Any]:
        """The `count`th log line whose event is `name`."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines if line.get("event") == name]

        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= count or self._reader.done())
        if len(found()) < count:
            raise AssertionError(f"no '{name}' in the log: {self.lines[-5:]}")
        return found()[count - 1]

    async def url(self) -> str:
        """Where the first role listens, once it does."""
        return f"http://127.0.0.1:{(await self.event('server.listening'))['port']}"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def wait(self, seconds: float = 60) -> int:
        """The exit code."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await self._reader
            assert self.process.stdout is not None
            # workers may hold the pipe a moment longer: a transport that outlives its loop complains in another test
            await self.process.stdout.read()
            await asyncio.sleep(0)
            return code


@contextlib.asynccontextmanager
async def node_process(
    *arguments: str,
    environment: dict[str, str] | None = None,
    own_group: bool = False,
    folder: Path = ROOT,
    cold: bool = False,
) -> AsyncIterator[NodeProcess]:
    """Start a node with JSON logs; killed at the end if it still runs. In a process group of its own, as a terminal has it, on request.

    A `cold` one is started from nothing, and so are its children.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    seen = {**inherited, "INTELLIROUTER__TELEMETRY__LOG_FORMAT": "json", **(environment or {})}
    process: WarmProcess | asyncio.subprocess.Process
    if cold:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "intellirouter", "run", *arguments, cwd=folder, env=seen,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=own_group,
        )  # fmt: skip
    else:
        process = await started(("run", *arguments), folder=folder, environment=seen, session=own_group)
    node = NodeProcess(process)
    try:
        yield node
    finally:
        if process.returncode is None:
            process.kill()
        await node.wait()


async def command(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run one command of the CLI to its end: exit code, output, errors."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await started(
        arguments, folder=ROOT, environment={**inherited, "COLUMNS": "200", **(environment or {})}
    )
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    return await process.wait(), out.decode(), errors.decode()
