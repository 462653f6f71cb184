"""Many questions asked so that their answers are kept: `intellirouter cache warm`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from intellirouter.cli.server_client import ServerRefused
from intellirouter.cli.server_session import ask, session_of


async def ask_all(
    bodies: list[dict[str, Any]], parallel: int, url: str | None, api_key: str | None, config: Path | None
) -> Counter[str]:
    """How many came out which way."""
    outcomes: Counter[str] = Counter()
    places = asyncio.Semaphore(parallel)
    progress = Progress(console=Console(stderr=True))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(progress)
        bar = progress.add_task("warming", total=len(bodies))
        session = await stack.enter_async_context(session_of(url, api_key, "Router", config))

        async def one(body: dict[str, Any]) -> None:
            async with places:
                try:
                    _, headers = await ask(session, "POST", "/v1/chat/completions", body)
                except ServerRefused as error:
                    outcomes["failed"] += 1
                    progress.console.print(error.message, highlight=False, markup=False)
                else:
                    known = {"hit": "known already", "miss": "asked", "stale": "failed"}
                    outcomes[known.get(headers.get("x-intellirouter-cache", ""), "not kept")] += 1
                progress.advance(bar)

        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(one(body))
    return outcomes
