"""The nodes of a campaign: started, killed, frozen, and started anew where they were."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers.process import NodeProcess, node_process

READY_SECONDS = 120
PAUSE = 0.1
"""Seconds before a node that did not answer is asked again."""


class Lost(AssertionError):
    """What a node said that it never may, however often others were killed."""


class Nodes:
    """`count` nodes with a data directory each, on one configuration."""

    def __init__(self, http: aiohttp.ClientSession, folder: Path, configuration: str, count: int) -> None:
        self.http, self.folder, self.count = http, folder, count
        self.file = folder / "node.toml"
        self.file.write_text(configuration)
        self.urls: dict[int, dict[str, str]] = {}
        """Of the roles of the nodes that answer."""
        self.starts = self.kills = self.freezes = 0
        self._stacks: dict[int, contextlib.AsyncExitStack] = {}
        self._processes: dict[int, NodeProcess] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Nodes]:
        """All of them."""
        try:
            for number in range(self.count):
                await self.start(number)
            yield self
        finally:
            await asyncio.gather(*(stack.aclose() for stack in self._stacks.values()))

    async def start(self, number: int) -> None:
        """Start a node, or start it again."""
        stack = self._stacks[number] = contextlib.AsyncExitStack()
        data = self.folder / f"data-{number}"
        flags = ("--config", str(self.file), "--role", "All")
        environment = {"INTELLIROUTER__PATHS__DATA_DIR": str(data), "INTELLIROUTER__SERVER__PORT": "0"}
        process = await stack.enter_async_context(node_process(*flags, environment=environment))
        self._processes[number] = process
        urls = {}
        for count in range(1, 5):
            line = await process.event("server.listening", count=count, seconds=READY_SECONDS)
            urls[line["role"]] = f"http://127.0.0.1:{line['port']}"
        self.starts += 1
        self.urls[number] = urls

    async def kill(self, number: int) -> None:
        """kill -9, and a start anew."""
        self.urls.pop(number, None)
        self.kills += 1
        self._processes[number].signal(signal.SIGKILL)
        await self._stacks[number].aclose()
        await self.start(number)

    async def freeze(self, number: int, seconds: float) -> None:
        """Stop a node for a while; then it goes on and knows of nothing."""
        urls = self.urls.pop(number)
        self.freezes += 1
        self._processes[number].signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._processes[number].signal(signal.SIGCONT)
        self.urls[number] = urls

    def url(self, role: str = "ChainEngine", number: int | None = None) -> str:
        """One that answers, by chance; empty where none does."""
        found = [urls[role] for at, urls in self.urls.items() if number in (None, at)]
        return random.choice(found) if found else ""

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "ChainEngine",
        number: int | None = None,
        good: tuple[int, ...] = (200, 201, 202),
        **more: Any,
    ) -> Any:
        """Ask until a node answers; what fails on the way, or is refused for the moment, is asked again."""
        while True:
            url = self.url(role, number)
            try:
                async with self.http.request(method, url + path, json=body, **more) as reply:
                    if reply.status in good:
                        return await reply.json(content_type=None)
                    if reply.status < 500 and reply.status != 429:
                        raise Lost(f"{method} {path}: {reply.status} {(await reply.text())[:300]}")
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass
            await asyncio.sleep(PAUSE)
