"""Send odd requests, and look at what comes back, at how long others wait meanwhile, and at the memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import grpc.aio
import psutil

from scripts.attacks import wires
from scripts.attacks.fleet import KEYS, Fleet
from scripts.attacks.requests import SECRET, body, filled, operations

RSS_BYTES = 300_000_000
HELD_SECONDS = 0.2
AT_ONCE = 8
ODD_CALLS = ("UNKNOWN", "INTERNAL", "DATA_LOSS")
"""Statuses of gRPC that say nothing of what is missing."""


@dataclass
class Result:
    """What was seen."""

    sent: int = 0
    statuses: Counter[int | str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    cut: int = 0
    pauses: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)
    stretches: list[float] = field(default_factory=list)
    rss: int = 0
    routes: set[str] = field(default_factory=set)
    deadly: str = ""

    @property
    def slack(self) -> float:
        """What this machine keeps anybody waiting anyhow: an idle loop's own pauses beside the node's."""
        return max(self.control, default=0.0)

    @property
    def held(self) -> float:
        """The longest that the node's loop worked while its second connection waited: what a busy machine adds is none of it."""
        return max(self.stretches, default=0.0)

    def verdicts(self) -> list[tuple[str, str, bool]]:
        """What was looked at, what was found, whether it held."""
        return [
            ("requests", f"{self.sent:,} on {len(self.routes)} routes", self.sent > 0),
            ("answers", ", ".join(f"{n:,} × {s}" for s, n in sorted(self.statuses.items(), key=str)), True),
            ("5xx that say nothing", "; ".join(self.broken[:3]) or "none", not self.broken),
            ("secrets of another tenant", "; ".join(self.leaks[:3]) or "none", not self.leaks),
            (
                "the loop worked at a stretch",
                f"{self.held * 1e3:.0f} ms at most, of its own processor time",
                self.held <= HELD_SECONDS,
            ),
            (
                "longest wait of a second client",
                f"{max(self.pauses, default=0) * 1e3:.0f} ms, and {self.slack * 1e3:.0f} ms of an idle loop",
                True,
            ),
            ("median wait of a second client", f"{statistics.median(self.pauses or [0]) * 1e3:.1f} ms", True),
            ("memory", f"{self.rss / 1e6:.0f} MB at most", self.rss <= RSS_BYTES),
            ("the node", self.deadly or "lives", not self.deadly),
        ]


class Attack:
    """One campaign."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.urls, self.wires = fleet.urls, fleet.wires
        self.processes = {role: psutil.Process(pid) for role, pid in fleet.pids.items()}
        self.random = random.Random(seed)
        self.result = Result()

    async def plant(self, http: aiohttp.ClientSession) -> None:
        """Leave tenant A's secrets where the others could find them."""
        head = {"authorization": f"Bearer {KEYS['a']}"}
        url = self.urls["Router"]
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": SECRET}],
            "conversation": "kept",
            "metadata": {"x": SECRET},
        }
        await self._told(http.post(f"{url}/v1/chat/completions", json=body, headers=head))
        await self._told(http.post(f"{url}/v1/responses", json={"model": "m", "input": SECRET}, headers=head))
        chain = {
            "chain": {"name": "x", "description": SECRET},
            "steps": [{"id": "s", "set": {"v": f"'{SECRET}'"}}],
        }
        await self._told(
            http.put(f"{self.urls['ChainEngine']}/v1/chains/x", json={"definition": chain}, headers=head)
        )
        source = f'prompt = "{SECRET}"'
        await self._told(
            http.put(f"{self.urls['PersonaLayer']}/v1/personas/x", json={"source": source}, headers=head)
        )

    @staticmethod
    async def _told(asked: Any) -> None:
        async with asked as reply:
            await reply.read()

    async def run(self, requests: int) -> Result:
        """Send so many requests; where roles speak gRPC, every eighth is a call of it."""
        routes = operations()
        left = iter(range(requests))
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
            contextlib.AsyncExitStack() as channels,
        ):
            opened = {
                role: await channels.enter_async_context(grpc.aio.insecure_channel(address))
                for role, address in self.wires.items()
            }
            await self.plant(http)
            watching = [asyncio.create_task(self.watch(role)) for role in self.processes]
            await asyncio.gather(*(self.work(http, opened, routes, left) for _ in range(AT_ONCE)))
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        return self.result

    async def work(
        self,
        http: aiohttp.ClientSession,
        channels: dict[str, grpc.aio.Channel],
        routes: list[tuple[str, str, str]],
        left: Any,
    ) -> None:
        for number in left:
            role, method, path = (
                routes[number % len(routes)] if number < 3 * len(routes) else self.random.choice(routes)
            )
            if channels and number % 8 == 0:
                await self.call(channels)
            else:
                await self.one(http, role, method, path)
            for name, process in self.processes.items():
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    self.result.deadly = f"{name} ended after {method} {path}"
                    return

    async def call(self, channels: dict[str, grpc.aio.Channel]) -> None:
        """One odd call between roles, and a look at what came back."""
        role = self.random.choice(list(channels))
        who, status, text = await wires.call(channels[role], role, self.random)
        self.result.sent += 1
        self.result.routes.add(f"gRPC {role}")
        self.result.statuses[status] += 1
        if status not in ("OK", "UNAUTHENTICATED"):
            self.result.told[f"{status} gRPC {role}: {text[:160]}"] += 1
        if status in ODD_CALLS and not _says_why(text.partition(" {")[1] + text.partition(" {")[2]):
            self.result.broken.append(f"{status} gRPC {role}: {text[:120]}")
        if status == "OK" and who in ("none", "wrong"):
            self.result.leaks.append(f"{who}: gRPC {role} answered")
        if SECRET in text and who not in ("a", "admin"):
            self.result.leaks.append(f"{who}: gRPC {role}")

    async def one(self, http: aiohttp.ClientSession, role: str, method: str, path: str) -> None:
        """One odd request, and a look at what came back."""
        result = self.result
        who = self.random.choice(list(KEYS))
        url = self.urls.get(role, self.urls["Router"]) + filled(path, self.random)
        headers = {"authorization": f"Bearer {KEYS[who]}"} if KEYS[who] else {}
        data = body(path, self.random) if method not in ("GET", "HEAD") else None
        result.sent += 1
        result.routes.add(f"{method} {path}")
        try:
            async with http.request(
                method, url, data=data, headers={**headers, "content-type": "application/json"}
            ) as reply:
                text = (await reply.content.read(2_000_000)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            result.cut += 1
            return
        result.statuses[reply.status] += 1
        if reply.status >= 500:
            result.told[f"{reply.status} {method} {path}: {text[:200]}"] += 1
        if reply.status >= 500 and not _says_why(text):
            result.broken.append(f"{reply.status} {method} {path[:40]}: {text[:120]}")
        if SECRET in text and who not in ("a", "admin"):
            result.leaks.append(f"{who}: {method} {path}")

    async def watch(self, role: str) -> None:
        """Ask a process again and again over a connection of its own, and an idle loop of this process beside it."""
        parts = urlsplit(self.urls.get(role, self.urls["Router"]))
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.02)
                late = time.perf_counter() - began - 0.02
                self.result.control.append(late)
                began, worked = time.perf_counter(), _worked(self.processes[role].pid)
                writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                await reader.readexactly(length)
                self.result.pauses.append(time.perf_counter() - began)
                self.result.stretches.append(_worked(self.processes[role].pid) - worked)
                with contextlib.suppress(psutil.Error):
                    self.result.rss = max(self.result.rss, self.processes[role].memory_info().rss)
        except (OSError, asyncio.IncompleteReadError):
            self.result.deadly = self.result.deadly or f"{role} closed the second connection"
        finally:
            writer.close()


def _worked(pid: int) -> float:
    """Seconds that the first thread of a process, where its loop runs, had a processor. Source: Linux, sched-stats(5)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def _says_why(text: str) -> bool:
    """Whether a 5xx tells what is missing: a model that cannot be had, a part that is away, a run that failed."""
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        error = json.loads(text)["error"]
        if isinstance(error, str):  # Ollama's form has no codes
            return "internal error" not in error
        code = error.get("code") or error.get("type") or error.get("status")
        return code not in (None, "internal_error", "INTERNAL", "api_error")
    return False
