"""What people do while nodes are killed: start runs, deliver webhooks and events, drop files, and approve."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp

from intellirouter.security.webhook_signing import signed
from tests.chains.killing.chain import AFTER, ALL, PAGE, PERSONA, SCHEDULE, SMALL, TRIGGERS
from tests.chains.killing.listener import Listener
from tests.chains.killing.nodes import PAUSE, Nodes
from tests.chains.killing.world import World

BETWEEN = 0.3
"""Seconds between two runs that somebody starts."""
MOST = 20


class Work:
    """`runs`: those of the large chain that were acknowledged, by their number; `small`: those that triggers started."""

    def __init__(self, nodes: Nodes, world: World, folder: Path, count: int) -> None:
        self.nodes, self.world, self.folder, self.count = nodes, world, folder, count
        self.over = asyncio.Event()
        """Nothing is struck any more: no further run is started beyond `count`."""
        self.runs: dict[int, str] = {}
        self.small: dict[str, str] = {}
        self.listeners: list[Listener] = []
        self.secret = ""
        self.hook = ""

    async def prepare(self) -> None:
        """Chains, triggers, a schedule, and a page in every node's collection."""
        ask = self.nodes.ask
        for name, source in (("small", SMALL), ("after", AFTER), ("all", ALL)):
            await ask("PUT", f"/v1/chains/{name}", {"source": source.replace("WORLD", self.world.url)})
        for name, body in TRIGGERS.items():
            made = await ask("PUT", f"/v1/triggers/{name}", body)
            if body["kind"] == "webhook":
                self.secret, self.hook = made["secret"], made["path"]
        await ask("PUT", "/v1/schedules/tick", SCHEDULE)
        for number in range(self.nodes.count):
            where: dict[str, Any] = {"role": "RagManager", "number": number}
            await ask("POST", "/rag/v1/collections", {"name": "kb"}, **where)
            page = {"params": {"name": "coal.txt"}, "data": PAGE}
            job = (await ask("POST", "/rag/v1/collections/kb/documents", **page, **where))["job"]
            while True:
                if (await ask("GET", f"/rag/v1/jobs/{job}", **where))["status"] == "ready":
                    break
                await asyncio.sleep(PAUSE)

    async def people(self) -> None:
        """All of it, until everything that was started has ended."""
        begun = [asyncio.create_task(work()) for work in (self._start, self._deliver, self._tell, self._drop)]
        approving = asyncio.create_task(self._approve())
        whole = asyncio.gather(*begun)
        try:
            done, _ = await asyncio.wait((whole, approving), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # what went wrong
        finally:
            for task in (whole, approving):
                task.cancel()
            await asyncio.gather(whole, approving, return_exceptions=True)

    async def _start(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(MOST * self.count):
                if number >= self.count and self.over.is_set():
                    break
                key = {"idempotency-key": f"run-{number}"}
                body = {"input": {"n": number}, "mode": "background"}
                run = await self.nodes.ask("POST", "/v1/chains/all/runs", body, headers=key)
                self.runs[number] = run["id"]
                self.listeners.append(Listener(self.nodes, run["id"]))
                group.create_task(self.listeners[-1].follow())
                await asyncio.sleep(BETWEEN if number < self.count else 5 * BETWEEN)

    async def _deliver(self) -> None:
        """Each twice: a sender that was not answered sends again."""
        for number in range(2 * self.count):
            name, data = f"msg_{number // 2}", json.dumps({"n": number // 2}).encode()
            head = signed(self.secret, name, time.time(), data) | {"content-type": "application/json"}
            told = await self.nodes.ask("POST", self.hook, data=data, headers=head)
            self._same(f"webhook {name}", told["run"])
            await asyncio.sleep(BETWEEN / 2)

    async def _tell(self) -> None:
        for number in range(self.count):
            body = {"type": "order.paid", "id": f"event-{number}", "data": {"n": number}}
            for _ in range(2):
                told = await self.nodes.ask("POST", "/v1/events", body)
                (fired,) = told["runs"]
                if fired["run"] is not None:
                    self._same(f"event {number}", fired["run"])
                    break
            await asyncio.sleep(BETWEEN)

    def _same(self, what: str, run_id: str) -> None:
        if self.small.setdefault(what, run_id) != run_id:
            raise AssertionError(f"{what} started {self.small[what]} and {run_id}")

    async def _drop(self) -> None:
        for number in range(self.count):
            await asyncio.to_thread((self.folder / "inbox" / f"{number}.txt").write_text, "x" * number)
            await asyncio.sleep(BETWEEN)

    async def _approve(self) -> None:
        """By a signal, or by the form behind a link; every second one only once somebody was told that it waits."""
        while True:
            asked = await self.nodes.ask("GET", "/v1/approvals")
            numbers = {run: number for number, run in self.runs.items()}
            told = {one["data"]["run"] for one in self.world.heard.get("inbox", ())}
            for one in asked["data"]:
                number = numbers.get(one["run"])
                if number is None or (number % 2 and one["run"] not in told):
                    continue
                path, gone = f"/v1/runs/{one['run']}/signals/approval", (200, 201, 202, 404, 409)
                if number % 4 < 2:
                    await self.nodes.ask("POST", path, {"ok": True, "by": "ann"}, good=gone)
                    continue
                link = await self.nodes.ask("POST", f"{path}/link", {}, good=gone)
                if "path" in link:
                    await self._form(link["path"])
            await asyncio.sleep(2 * PAUSE)

    async def _form(self, path: str) -> None:
        """Fill it in as a browser does; a node that dies meanwhile is asked again at the next look."""
        try:
            filled = {"ok": "true", "by": "bob"}
            async with self.nodes.http.post(self.nodes.url() + path, data=filled) as reply:
                await reply.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return


def prepare_folder(folder: Path) -> None:
    """What the nodes' configuration names."""
    (folder / "inbox").mkdir()
    (folder / "personas").mkdir()
    (folder / "personas" / "helper.md").write_text(PERSONA)
