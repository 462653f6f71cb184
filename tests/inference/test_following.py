"""What is kept in the shared store is heard of, whatever a reading of it meets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.inference.following import following
from intellirouter.memory.open import open_state

CHANNEL = "admin:all:things"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def test_a_reading_that_fails_ends_nothing_and_every_change_is_read(tmp_path: Path) -> None:
    readings: list[str] = []
    away: list[str] = []
    failures: list[Exception] = [StateUnavailable("away"), ValueError("unreadable")]

    async with open_state(MemorySection(), tmp_path) as store:

        async def read() -> None:
            value = await store.get("thing")
            readings.append((value or b"nothing").decode())
            if failures:
                raise failures.pop(0)

        async def copy() -> None:
            away.append("a copy")

        async with following(store, CHANNEL, read, name="things", away=copy):
            assert (readings, away) == (["nothing"], ["a copy"])
            await until(lambda: len(readings) == 2)  # by itself, after a moment
            for word in ("one", "two"):
                await store.set("thing", word.encode())
                await store.publish(CHANNEL, b"")
                await until(lambda word=word: readings[-1] == word)  # type: ignore[misc]
        known = len(readings)
        await store.publish(CHANNEL, b"")
        assert (len(readings), away) == (known, ["a copy"])


async def test_what_changes_while_it_is_first_read_is_read_again(tmp_path: Path) -> None:
    readings: list[str] = []
    async with open_state(MemorySection(), tmp_path) as store:

        async def read() -> None:
            readings.append((await store.get("thing") or b"nothing").decode())
            if len(readings) == 1:
                await store.set("thing", b"new")
                await store.publish(CHANNEL, b"")

        async with following(store, CHANNEL, read, name="things"):
            await until(lambda: readings[-1] == "new")
