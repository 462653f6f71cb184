"""Every key of our namespace out of Redis, and back into it: SCAN, DUMP and PTTL; RESTORE.

Each key is as it was at one moment; two keys may be of two moments. No other namespace is read or touched.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import RedisError

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateError, StateUnavailable
from intellirouter.memory.redis.connect import Client, connect
from intellirouter.memory.redis.keys import Keys, escape
from intellirouter.memory.since import Since

PAGE = 200
"""Keys in one exchange: what is held in memory at a time."""
PAGE_SECONDS = 30.0

Record = tuple[bytes, int, bytes]
"""A key, when it expires (Unix milliseconds; 0: never), and its value in the server's own form (DUMP)."""


async def dump(section: MemorySection) -> AsyncIterator[Record]:
    """Every key of the namespace, each once, in order. Holds their names, not their values. Raises `StateUnavailable`."""
    client = await _opened(section)
    try:
        # sorted: a server that was started anew lists them in another order, and an incremental backup would find nothing it knows
        found = sorted({name async for names in _pages(client, section.namespace) for name in names})
        for start in range(0, len(found), PAGE):
            page = found[start : start + PAGE]
            pipeline = client.pipeline(transaction=False)
            for name in page:
                pipeline.dump(name)
                pipeline.pttl(name)
            answers = await pipeline.execute()
            now = time.time_ns() // 1_000_000
            for name, value, left in zip(page, answers[::2], answers[1::2], strict=True):
                if value is not None and left != -2:  # it may have expired meanwhile
                    yield name, now + left if left >= 0 else 0, value
    except (RedisError, OSError) as error:
        raise StateUnavailable(f"Redis cannot be read: {error}") from error
    finally:
        await client.aclose()


async def replace(section: MemorySection, records: Iterable[Record], since: Since) -> int:
    """Make the namespace hold these records and no others, but for what happened since; how many there were. Raises `StateError`.

    A record is checked by the server (DUMP carries its sum); one that has expired meanwhile is left out.
    """
    client = await _opened(section)
    values = Keys(section.namespace).values
    kept: set[bytes] = set()
    count = 0
    try:
        async for names in _pages(client, section.namespace):
            kept.update(name for name in names if (key := _key(name, values)) and since.stays(key))
        there = frozenset(_key(name, values) for name in kept)
        for page in _paged(records):
            pipeline = client.pipeline(transaction=False)
            for name, expires, value in page:
                count += 1
                key = _key(name, values)
                if key not in there and (not key or since.comes_back(key, there)):
                    pipeline.execute_command("RESTORE", name, expires, value, "REPLACE", "ABSTTL")
                    kept.add(name)
            await pipeline.execute()
        async for names in _pages(client, section.namespace):
            pipeline = client.pipeline(transaction=False)
            strays = [name for name in names if name not in kept]
            for name in strays:
                pipeline.delete(name)
            if strays:
                await pipeline.execute()
    except (RedisError, OSError) as error:
        raise StateError(f"Redis did not take the backup: {error}") from error
    finally:
        await client.aclose()
    return count


def _key(name: bytes, values: str) -> str:
    """The key of a value by its name in Redis; empty for what is no value."""
    text = name.decode("utf-8", "replace")
    return text.removeprefix(values) if text.startswith(values) else ""


async def _opened(section: MemorySection) -> Client:
    # a page of large values takes longer than a request may wait
    client = connect(section.model_copy(update={"timeout": max(section.timeout, PAGE_SECONDS)}))
    if isinstance(client, RedisCluster):
        await client.initialize()
    return client


async def _pages(client: Client, namespace: str) -> AsyncIterator[list[bytes]]:
    pattern = escape(f"{namespace}:").replace("*", "\\*") + "*"
    page: list[bytes] = []
    async for name in client.scan_iter(match=pattern, count=PAGE):
        page.append(name)
        if len(page) >= PAGE:
            yield page
            page = []
    yield page


def _paged(records: Iterable[Record]) -> Iterable[list[Record]]:
    page: list[Any] = []
    for record in records:
        page.append(record)
        if len(page) >= PAGE:
            yield page
            page = []
    if page:
        yield page
