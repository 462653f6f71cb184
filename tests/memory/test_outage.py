"""Redis goes away and comes back: killed, frozen, absent at the start, failed over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.memory.redis.store import RedisStore
from intellirouter.memory.resilient import ResilientStore
from intellirouter.memory.store import Claim
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer, redis_cluster, redis_sentinel, redis_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as running:
        yield running


@asynccontextmanager
async def opened(section: MemorySection, directory: Path) -> AsyncIterator[ResilientStore]:
    store = await ResilientStore(RedisStore(section), directory, section).open()
    try:
        yield store
    finally:
        await store.aclose()


async def until(condition: Callable[[], bool], deadline: float = 60.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


def serving(store: ResilientStore) -> bool:
    return store.health().status == "healthy"


async def test_a_kill_and_a_restart_lose_nothing_that_was_acknowledged(
    server: RedisServer, tmp_path: Path
) -> None:
    section = MemorySection(redis_url=server.url)
    async with opened(section, tmp_path) as store, opened(section, tmp_path / "other") as other:
        await store.add("spend:k", 10)
        version = await store.put_if("doc", b"before", 0)
        assert version is not None
        await store.append("talk", [b"1", b"2"])
        await store.set("gone", b"x")
        server.kill()

        assert await store.add("spend:k", 5) == 15
        assert await store.get("doc") == b"before"
        assert (await store.get_versioned("doc")).version == version
        assert await store.put_if("doc", b"wrong", version + 1) is None
        assert await store.put_if("doc", b"during", version) is not None
        assert await store.get("doc") == b"during"
        assert await store.append("talk", [b"3"], expected_length=2) == 3
        assert await store.append("talk", [b"4"], expected_length=2) is None
        assert await store.slice("talk", -2) == [b"2", b"3"]
        assert await store.delete("gone") == 1
        assert await store.get("gone") is None
        assert await store.set("new", b"n", only_if_absent=True)
        assert not await store.set("new", b"m", only_if_absent=True)
        assert await other.add("spend:k", 7) == 7  # the other node never saw the level
        assert store.health().status == "degraded"

        server.start()
        await until(lambda: serving(store) and serving(other))
        assert await store.level("spend:k") == 22
        assert await other.get_many(["doc", "gone", "new"]) == [b"during", None, b"n"]
        assert await other.slice("talk") == [b"1", b"2", b"3"]


async def test_what_is_not_known_is_refused_and_never_reported_absent(
    server: RedisServer, tmp_path: Path
) -> None:
    section = MemorySection(redis_url=server.url)
    async with opened(section, tmp_path) as store:
        server.kill()
        for question in (
            store.get("a"),
            store.get_versioned("a"),
            store.slice("a"),
            store.acquire("lock", "me", 5),
        ):
            with pytest.raises(StateUnavailable):
                await question
        with pytest.raises(StateUnavailable):
            _ = [key async for key in store.scan("")]


async def test_nobody_waits_for_a_redis_that_drops_every_packet(server: RedisServer, tmp_path: Path) -> None:
    section = MemorySection(redis_url=server.url, timeout=20.0, patience=0.05)
    async with opened(section, tmp_path) as store:
        await store.add("c:x", 1)
        server.freeze()
        waits = []
        for _ in range(200):
            started = time.perf_counter()
            await store.add("c:x", 1)
            waits.append(time.perf_counter() - started)
            await asyncio.sleep(0.001)
        assert max(waits) < 10  # the first call waits out the patience, no call the time-out of Redis
        server.thaw()
        await until(lambda: serving(store))
        # the one call whose answer was lost may have been counted twice
        assert await store.level("c:x") in (201, 202)


async def test_a_node_starts_without_redis_and_finds_it_later(tmp_path: Path) -> None:
    port = free_port()
    section = MemorySection(redis_url=f"redis://127.0.0.1:{port}", timeout=20.0)
    started = time.perf_counter()
    async with opened(section, tmp_path) as store:
        assert time.perf_counter() - started < 10  # not the time-out of Redis
        assert store.health().status == "degraded"
        assert await store.add("c:x", 3) == 3
        server = RedisServer(tmp_path / "late", port=port).start()
        try:
            await until(lambda: serving(store))
            async with opened(section, tmp_path / "other") as other:
                assert await other.level("c:x") == 3
        finally:
            server.kill()


async def test_the_journal_outlives_the_process(server: RedisServer, tmp_path: Path) -> None:
    section = MemorySection(redis_url=server.url)
    async with opened(section, tmp_path) as store:
        server.kill()
        await store.add("c:x", 4)
        await store.set("k", b"v", ttl=60)
        await store.append("talk", [b"a"])
    server.start()
    async with opened(section, tmp_path) as store:
        assert serving(store)
        assert await store.level("c:x") == 4
        assert await store.get("k") == b"v"
        assert await store.slice("talk") == [b"a"]


async def test_reservations_hold_the_limit_of_the_level_last_seen(
    server: RedisServer, tmp_path: Path
) -> None:
    section = MemorySection(redis_url=server.url)
    claim = [Claim("b:k", 1, 10, window=3600)]
    async with opened(section, tmp_path) as store, opened(section, tmp_path) as worker:
        for _ in range(4):
            assert (await store.reserve(claim)).granted
        await worker.level("b:k", window=3600)
        server.kill()
        outcomes = await asyncio.gather(*((store if i % 2 else worker).reserve(claim) for i in range(30)))
        assert sum(outcome.granted for outcome in outcomes) == 6  # the two processes share the node's journal
        denied = next(outcome for outcome in outcomes if not outcome.granted)
        assert denied.denied == 0
        assert denied.retry_after > 0
        server.start()
        await until(lambda: serving(store) and serving(worker))
        assert await store.level("b:k", window=3600) == 10


async def test_the_later_write_holds_when_both_sides_wrote(server: RedisServer, tmp_path: Path) -> None:
    section = MemorySection(redis_url=server.url)
    async with opened(section, tmp_path / "a") as one:
        await one.set("k", b"before")
        server.kill()
        await one.set("k", b"early")
        await one.set("mine", b"kept")
        async with opened(section, tmp_path / "b") as two:
            await two.set("k", b"late")
            server.start()
            await until(lambda: serving(one) and serving(two))
            assert await one.get_many(["k", "mine"]) == [b"late", b"kept"]


async def test_counts_are_right_when_redis_dies_over_and_over(server: RedisServer, tmp_path: Path) -> None:
    section = MemorySection(redis_url=server.url)
    done, in_flight = 0, 0
    async with opened(section, tmp_path) as store:
        stop = asyncio.Event()

        async def count() -> None:
            nonlocal done
            while not stop.is_set():
                await store.add("c:x", 1)
                done += 1
                await asyncio.sleep(0.002)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(count())
            for _ in range(3):
                await asyncio.sleep(0.15)
                in_flight += 4
                server.kill()
                await asyncio.sleep(0.15)
                server.start()
                await until(lambda: serving(store))
            stop.set()
        for _ in range(1_000):  # what was counted here while it turned to Redis is merged a moment later
            if (level := await store.level("c:x")) >= done:
                break
            await asyncio.sleep(0.01)
    assert done <= level <= done + in_flight


async def test_a_subscription_outlives_an_outage(server: RedisServer, tmp_path: Path) -> None:
    section = MemorySection(redis_url=server.url)
    async with (
        opened(section, tmp_path) as store,
        opened(section, tmp_path / "b") as other,
        store.subscribe("a:*") as events,
        asyncio.timeout(15),
    ):
        await other.publish("a:1", b"before")
        assert (await anext(events)).payload == b"before"
        server.kill()
        await store.publish("a:2", b"here")
        assert (await anext(events)).payload == b"here"
        server.start()
        await until(lambda: serving(store) and serving(other))
        received = asyncio.ensure_future(anext(events))
        while not received.done():  # a subscriber hears from the moment it is connected again
            await other.publish("a:3", b"after")
            await asyncio.wait({received}, timeout=0.05)
        assert received.result().payload == b"after"


async def test_a_sentinel_failover_is_survived(tmp_path: Path) -> None:
    with redis_sentinel(tmp_path) as (master, replica, watchers):
        addresses = tuple(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        section = MemorySection(redis_sentinels=addresses)
        async with opened(section, tmp_path / "node") as store:
            for _ in range(50):
                await store.add("c:x", 1)
            await until(lambda: b"50" in replica.command("HGET", "intellirouter:c:{c}:c:x:0", "l"))
            master.kill()
            for _ in range(50):
                await store.add("c:x", 1)
            await until(lambda: serving(store), deadline=20)
            assert b"role:master" in replica.command("INFO", "replication")
            assert await store.level("c:x") == pytest.approx(100, abs=1)


async def test_a_cluster_that_loses_a_master_is_degraded_until_it_is_back(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        section = MemorySection(redis_url=nodes[0].url, redis_cluster=True)
        async with opened(section, tmp_path / "node") as store:
            families = [f"f{i}" for i in range(12)]  # spread over the three masters
            for name in families:
                await store.add(f"{name}:x", 1)
            nodes[2].kill()
            for name in families:
                await store.add(f"{name}:x", 1)
            assert store.health().status == "degraded"
            nodes[2].start()
            await until(lambda: serving(store), deadline=20)
            for name in families:
                assert await store.level(f"{name}:x") == 2


async def test_a_second_outage_goes_on_from_what_was_merged_after_the_first(
    server: RedisServer, tmp_path: Path
) -> None:
    """Nothing is read between the outages, by this process or by its sibling on the same directory."""
    section = MemorySection(redis_url=server.url)
    claim = [Claim("b:k", 1, 3, window=3600)]
    async with opened(section, tmp_path) as store, opened(section, tmp_path) as sibling:
        for one in (store, sibling):  # both have seen what was there before
            await one.add("c:x", 1)
            await one.set("doc", b"before")
            await one.slice("talk")
        await store.append("talk", [b"1"])
        await sibling.slice("talk")
        await store.set("old", b"old")
        await sibling.get("old")
        await store.reserve(claim)
        server.kill()
        await store.add("c:x", 1)
        await sibling.add("c:x", 1)
        await store.set("doc", b"during")
        await store.set("new", b"new")
        await store.delete("old")
        await store.append("talk", [b"2"])
        await store.append("other", [b"a"], expected_length=0)
        await sibling.append("talk", [b"3"])
        await sibling.reserve(claim)
        server.start()
        await until(lambda: serving(store) and serving(sibling))
        server.kill()
        for one in (store, sibling):
            assert await one.level("c:x") == 4
            assert await one.get_many(["doc", "new", "old"]) == [b"during", b"new", None]
            assert await one.slice("talk") == [b"1", b"2", b"3"]
            assert await one.slice("other") == [b"a"]
        version = (await sibling.get_versioned("doc")).version
        assert await store.put_if("doc", b"again", version) is not None
        outcomes = [(await one.reserve(claim)).granted for one in (store, sibling)]
        assert outcomes == [True, False]
        assert await sibling.append("talk", [b"4"], expected_length=3) == 4
        assert await store.add("c:x", 1) == 5
        server.start()
        await until(lambda: serving(store) and serving(sibling))
        assert await sibling.level("c:x") == 5
        assert await store.level("b:k", window=3600) == 3
        assert await sibling.get("doc") == b"again"
        assert await store.slice("talk") == [b"1", b"2", b"3", b"4"]
