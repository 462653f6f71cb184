"""Background tasks with an owner: started together, watched, cancelled together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine

import structlog

from intellirouter import tasks

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def background(**work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run the named coroutines while the context is open. One that ends with an error says so in the log."""
    running = [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]
    for task in running:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        await tasks.end(*running)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background.ended", task=task.get_name(), exc_info=error)
