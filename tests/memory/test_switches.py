"""A master that Sentinel deposes while it lives gets no more writes of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.memory.redis.store import RedisStore
from tests.servers.redis import redis_sentinel


async def test_what_is_written_after_a_switch_is_with_the_new_master(tmp_path: Path) -> None:
    with redis_sentinel(tmp_path) as (master, replica, watchers):
        addresses = tuple(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        store = RedisStore(MemorySection(backend_type="redis", redis_sentinels=addresses, timeout=10))
        try:
            for number in range(20):  # connections that are open when it happens
                await store.set(f"before:{number}", b"x")
            assert b"before" in master.command("KEYS", "*before:1")
            assert b"OK" in watchers[0].command("SENTINEL", "FAILOVER", "mymaster")
            async with asyncio.timeout(60):
                while True:
                    said = watchers[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
                    if str(replica.port).encode() in said:
                        break
                    await asyncio.sleep(0.01)
            chosen = asyncio.get_running_loop().time()
            kept: set[str] = set()
            number = 0
            async with asyncio.timeout(60):
                while len(kept) < 50:  # the old one still lives, and is made a replica seconds later
                    number += 1
                    try:
                        await store.set(f"after:{number}", b"x")
                    except StateUnavailable:
                        continue
                    finally:
                        await asyncio.sleep(0)
                    if asyncio.get_running_loop().time() - chosen > 3.0:  # without being told it is 8 to 12
                        kept.add(f"after:{number}")
            lost = [name for name in kept if name.encode() not in replica.command("KEYS", f"*:{name}")]
            assert not lost
        finally:
            await store.aclose()
