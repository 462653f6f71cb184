"""One node of a cluster: `python cluster_child.py DATABASE_URL JOURNAL NODE RUNS BEAT TTL`. It ends with its standard input.

It starts RUNS runs called `NODE-0`, `NODE-1` … and takes part in everybody's. Each effect adds `NODE RUN/STEP` to the journal.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intellirouter.chains.check import check
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.source import read
from intellirouter.chains.steps.attempts import Worker

CHAIN = """
chain: {name: cluster}
input: {n: {type: integer}}
steps:
  - {id: a, tool: {name: t, arguments: {v: "{{ input.n }}"}}}
  - id: m
    map: {over: "[1, 2, 3]", as: x, max_items: 3}
    do: [{id: one, tool: {name: t, arguments: {v: "{{ x }}{{ steps.a.v }}"}}}]
  - {id: b, tool: {name: t, arguments: {v: "{{ steps.a.v }}b"}}}
  - {id: c, tool: {name: t, arguments: {v: "{{ steps.b.v }}c"}}}
output: {m: steps.m, c: steps.c.v}
"""
STEPS = 6
"""With a recorded result: four tools, of which one runs three times."""


class Journal:
    """A tool that takes a moment and writes down that it ran."""

    def __init__(self, path: Path, node: str) -> None:
        self.path, self.node = path, node

    async def call(self, name: str, arguments: Mapping[str, Any], ticket: Ticket) -> Any:
        await asyncio.sleep(random.uniform(0.2, 0.8))
        with self.path.open("a") as out:
            out.write(f"{self.node} {ticket.key}\n")
        return dict(arguments)


async def main(url: str, journal: Path, node: str, runs: int, beat: float, ttl: float) -> None:
    worker = Worker(Ports(tools=Journal(journal, node)))
    async with opened(url, worker, beat=beat, ttl=ttl) as runtime:
        chain = check(read(CHAIN))
        for number in range(runs):
            await runtime.start(chain, {"n": number}, run_id=f"{node}-{number}")
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1],
            Path(sys.argv[2]),
            sys.argv[3],
            int(sys.argv[4]),
            float(sys.argv[5]),
            float(sys.argv[6]),
        )
    )
    os._exit(0)
