"""A master that Sentinel deposes while it lives gets no more writes of ours."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.memory.redis.store import RedisStore
from tests.servers.redis import redis_sentinel

AT_ONCE = 8
"""Writers, so that some are in the middle of a question whenever a Sentinel says it."""


async def test_what_is_written_and_said_after_a_switch_is_with_the_new_master(tmp_path: Path) -> None:
    with redis_sentinel(tmp_path) as (master, replica, watchers):
        addresses = tuple(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        store = RedisStore(MemorySection(backend_type="redis", redis_sentinels=addresses, timeout=10))
        try:
            for number in range(20):  # connections that are open when it happens
                await store.set(f"before:{number}", b"x")
            assert b"before" in master.command("KEYS", "*before:1")
            async with store.subscribe("news") as events, asyncio.timeout(120):
                assert b"OK" in watchers[0].command("SENTINEL", "FAILOVER", "mymaster")
                while True:
                    said = watchers[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
                    if str(replica.port).encode() in said:
                        break
                    await asyncio.sleep(0.01)
                kept = await _written(store, asyncio.get_running_loop().time() + 3)
                told = asyncio.create_task(_say(store))
                assert (await anext(events)).payload == b"of the new one"
                told.cancel()
            lost = [name for name in kept if name.encode() not in replica.command("KEYS", f"*:{name}")]
            assert not lost
        finally:
            await store.aclose()


async def _written(store: RedisStore, since: float) -> set[str]:
    """Fifty names that were written, each after `since`: without being told the old master takes writes for 8 to 12 seconds."""
    kept: set[str] = set()
    numbers = itertools.count()

    async def write() -> None:
        while len(kept) < 50:
            name = f"after:{next(numbers)}"
            await asyncio.sleep(0)
            with contextlib.suppress(StateUnavailable):
                await store.set(name, b"x")
                if asyncio.get_running_loop().time() > since:
                    kept.add(name)

    async with asyncio.TaskGroup() as writers:
        for _ in range(AT_ONCE):
            writers.create_task(write())
    return kept


async def _say(store: RedisStore) -> None:
    while True:
        with contextlib.suppress(StateUnavailable):
            await store.publish("news", b"of the new one")
        await asyncio.sleep(0.05)
