"""A process that runs one durable chain and may kill itself: `python crash_child.py DATABASE_URL JOURNAL SCENARIO KILL_AT SECONDS`.

KILL_AT is the number of the effect, counted in this process, at whose start it kills itself with SIGKILL (0: never);
SECONDS the time after the first effect at which it does so in any case (0: never). Every effect adds its key to the journal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intellirouter.chains.check import check
from intellirouter.chains.ports import Ports, Ticket, WebRequest
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.source import read
from intellirouter.chains.steps.attempts import Worker
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import NotFound
from tests.chains.offline import Model, Shelf
from tests.chains.scenarios import SCENARIOS, answer

RUN = "crash"


class Journal:
    """Models, passages and tools that take differently long and write down that they ran."""

    def __init__(self, path: Path, kill_at: int, seconds: float) -> None:
        self.path, self.kill_at, self.seconds, self.count = path, kill_at, seconds, 0
        self.model, self.shelf = Model(answer), Shelf()

    async def complete(self, request: ChatRequest, ticket: Ticket) -> tuple[ChatResponse, float | None]:
        await self._effect(ticket)
        return await self.model.complete(request, ticket)

    async def retrieve(
        self, query: str, collection: str, top_k: int, filters: Mapping[str, Any] | None, ticket: Ticket
    ) -> list[dict[str, Any]]:
        await self._effect(ticket)
        return await self.shelf.retrieve(query, collection, top_k, filters, ticket)

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Ticket) -> Any:
        await self._effect(ticket)
        return dict(arguments)

    async def offered(self, names: Sequence[str], ticket: Ticket) -> list[dict[str, Any]]:
        return [{"name": name, "description": None, "parameters": {"type": "object"}} for name in names]

    async def send(self, request: WebRequest, ticket: Ticket) -> dict[str, Any]:
        assert request.headers["idempotency-key"] == ticket.key
        await self._effect(ticket)
        return {"status": 200, "body": {"asked": request.url}}

    async def ended(self, run_id: str, outcome: Mapping[str, Any]) -> None:
        """What a hook hangs on: it must come before the end of a run is recorded, however the process dies."""
        await self._effect(Ticket(f"{run_id}/ending", 1.0))

    async def _effect(self, ticket: Ticket) -> None:
        self.count += 1
        if self.count == 1 and self.seconds:
            threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(
            0.001 * int.from_bytes(os.urandom(1)) / 16
        )  # so that branches finish in any order
        with self.path.open("a") as out:
            out.write(f"{ticket.key}\n")


async def main(url: str, journal: Path, scenario: str, kill_at: int, seconds: float) -> None:
    effects = Journal(journal, kill_at, seconds)
    worker = Worker(Ports(models=effects, search=effects, tools=effects, web=effects))
    wanted = SCENARIOS[scenario]
    async with opened(url, worker, beat=0.2, ttl=1.0) as runtime:
        runtime.ending = effects.ended
        try:
            await runtime.status(RUN)
        except NotFound:
            await runtime.start(check(read(wanted.text)), wanted.inputs, run_id=RUN)
        for name, value in wanted.signals.items():
            await runtime.signal(RUN, name, value)
        sys.stdout.write(f"{await runtime.result(RUN)!r}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
    os._exit(0)  # a timer that has not fired must not
