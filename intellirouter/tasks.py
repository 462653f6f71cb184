"""Ending background tasks, so that they do end."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

AGAIN_SECONDS = 1.0
TRIES = 30

log = structlog.get_logger(__name__)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait for them; what they raise is theirs to report.

    A cancellation can be lost: until Python 3.12 `asyncio.wait_for`, which libraries use, returns its result instead
    when both come at once (python/cpython#86296), and a loop then goes on for ever. So it is asked for again.
    """
    pending = {task for task in tasks if not task.done()}
    for _ in range(TRIES):
        if not pending:
            break
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    for task in pending:
        log.error("task.not_ended", task=task.get_name(), seconds=TRIES * AGAIN_SECONDS)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # seen: asyncio need not warn of it
