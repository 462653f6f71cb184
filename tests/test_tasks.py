"""Background tasks end, also where a library loses a cancellation."""

from __future__ import annotations

import asyncio

from intellirouter import tasks


async def test_a_task_that_lost_its_first_cancellation_ends() -> None:
    lost = 0

    async def deaf_once() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    task = asyncio.create_task(deaf_once())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await tasks.end(task)
    assert task.cancelled()
    assert lost == 2


async def test_what_has_ended_already_is_left_alone() -> None:
    async def broken() -> None:
        raise ValueError("no")

    task = asyncio.create_task(broken())
    await asyncio.wait((task,))
    await tasks.end(task)
    await tasks.end()
    assert isinstance(task.exception(), ValueError)
