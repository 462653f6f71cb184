"""A process that runs one durable chain and may kill itself: `python crash_child.py DATABASE_URL JOURNAL KILL_AT SECONDS`.

KILL_AT is the number of the effect, counted in this process, at whose start it kills itself with SIGKILL (0: never);
SECONDS the time after the first effect at which it does so in any case (0: never). Every effect adds its key to the journal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intellirouter.chains.check import check
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chains.runtime.durable.runtime import opened
from intellirouter.chains.source import read
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import NotFound

RUN = "crash"
CHAIN = """
chain: {name: crash}
steps:
  - {id: a, tool: {name: t, arguments: {v: "1"}}}
  - id: m
    map: {over: "[3, 2, 1]", as: x, max_items: 4}
    do:
      - {id: one, tool: {name: t, arguments: {v: "{{ x }}"}}}
      - {id: two, tool: {name: t, arguments: {v: "{{ steps.one.v }}{{ steps.a.v }}"}}}
  - id: p
    parallel:
      - {do: [{id: left, tool: {name: t, arguments: {v: left}}}]}
      - {do: [{id: right, loop: {max: 2}, do: [{id: r, tool: {name: t, arguments: {v: "{{ index }}"}}}]}]}
  - {id: z, tool: {name: t, arguments: {v: "end"}}}
output: {m: steps.m, left: steps.p.left.v, right: steps.p.right.r.v, z: steps.z.v}
"""
EFFECTS = 11


class Journal:
    """A tool that takes differently long and writes down that it ran."""

    def __init__(self, path: Path, kill_at: int, seconds: float) -> None:
        self.path, self.kill_at, self.seconds, self.count = path, kill_at, seconds, 0

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Ticket) -> Any:
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
        return dict(arguments)


async def main(url: str, journal: Path, kill_at: int, seconds: float) -> None:
    worker = Worker(Ports(tools=Journal(journal, kill_at, seconds)))
    async with opened(url, worker, beat=0.2, ttl=1.0) as runtime:
        try:
            await runtime.status(RUN)
        except NotFound:
            await runtime.start(check(read(CHAIN)), {}, run_id=RUN)
        sys.stdout.write(f"{await runtime.result(RUN)!r}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
    os._exit(0)  # a timer that has not fired must not
