"""A deadline that counts the time the loop was free to wait, and nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from intellirouter.memory.patience import Patience


async def test_what_does_not_answer_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Patience(0.05):
            await asyncio.Event().wait()
    assert time.monotonic() - began >= 0.05


async def test_a_stall_of_the_loop_is_not_held_against_an_answer_that_came_meanwhile() -> None:
    reader, writer = await _echo()
    writer.write(b"question\n")
    await writer.drain()
    asyncio.get_running_loop().call_soon(time.sleep, 0.3)
    async with Patience(0.1):
        assert await reader.readline() == b"question\n"
    writer.close()


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def wait() -> None:
        async with Patience(10):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _echo() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = await asyncio.open_connection(host, port)
    server.close()
    return connection
