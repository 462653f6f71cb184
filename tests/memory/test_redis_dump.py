"""The keys of Redis go to a file and come back, behind Sentinels and in a Cluster too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from intellirouter.config.schema.memory import MemorySection
from intellirouter.memory.redis.connect import connect
from intellirouter.memory.redis.dump import PAGE, Record, dump, replace
from intellirouter.ops.backup.revocations import SINCE
from tests.servers.redis import redis_cluster, redis_sentinel, redis_server

COUNT = 3 * PAGE + 7
KINDS = ("one", "sentinel", "cluster")


@contextmanager
def servers(kind: str, directory: Path) -> Iterator[MemorySection]:
    """The section that reaches them."""
    if kind == "one":
        with redis_server(directory) as server:
            yield MemorySection(redis_url=server.url)
    elif kind == "sentinel":
        with redis_sentinel(directory) as (_, _, watchers):
            yield MemorySection(redis_sentinels=tuple(f"127.0.0.1:{watcher.port}" for watcher in watchers))
    else:
        with redis_cluster(directory) as nodes:
            yield MemorySection(redis_url=nodes[0].url, redis_cluster=True)


async def all_of(section: MemorySection) -> list[Record]:
    return [record async for record in dump(section)]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_key_goes_and_comes_back_and_strays_go(kind: str, tmp_path: Path) -> None:
    with servers(kind, tmp_path) as section:
        client = connect(section)
        for number in range(COUNT):
            await client.set(f"intellirouter:k:{number}", f"value {number}")
        await client.hset("intellirouter:h", "field", "held")
        await client.set("intellirouter:short", "x", px=600_000)
        await client.set("somebody:else", "stays")
        taken = await all_of(section)
        names = [name for name, _, _ in taken]
        assert names == sorted(names)
        assert len(names) == COUNT + 2

        for number in range(COUNT):
            await client.set(f"intellirouter:k:{number}", "newer")
        await client.delete("intellirouter:h")
        await client.set("intellirouter:stray", "goes")
        assert await replace(section, taken, SINCE) == COUNT + 2
        again = await all_of(section)
        assert [(name, value) for name, _, value in again] == [(name, value) for name, _, value in taken]
        assert await client.get(f"intellirouter:k:{COUNT - 1}") == f"value {COUNT - 1}".encode()
        assert 0 < await client.pttl("intellirouter:short") <= 600_000
        assert await client.get("somebody:else") == b"stays"
        await client.aclose()


async def test_a_server_that_was_started_anew_gives_the_same_bytes(tmp_path: Path) -> None:
    """An incremental backup shares what did not change."""
    # at every write: what a kill takes of a second's writes is another test's
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        section = MemorySection(redis_url=server.url, timeout=60)
        client = connect(section)
        await asyncio.gather(*(client.set(f"intellirouter:{number}", "v" * 50) for number in range(500)))
        await client.aclose()
        first = await all_of(section)
        server.kill()
        server.start()
        assert await all_of(section) == first
