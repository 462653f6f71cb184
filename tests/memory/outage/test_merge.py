"""A journal merged into a real Redis, step by step: what stands afterwards, and what a cut-off attempt leaves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateUnavailable
from intellirouter.memory.outage import merge as merging
from intellirouter.memory.outage.local import LocalState
from intellirouter.memory.redis.store import RedisStore
from tests.servers.redis import redis_server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
async def shared(url: str, tmp_path: Path) -> AsyncIterator[RedisStore]:
    store = RedisStore(MemorySection(redis_url=url, namespace=tmp_path.name))
    yield store
    await store.aclose()


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalState]:
    state = LocalState(tmp_path / "outage.db")
    await state.journal.open()
    yield state
    await state.journal.close()


async def merge(local: LocalState, shared: RedisStore) -> None:
    assert await merging.merge(local.journal, shared, "me")
    assert await local.journal.empty()


async def test_another_nodes_later_write_stands_and_is_what_is_known(
    local: LocalState, shared: RedisStore
) -> None:
    local.seen.saw_value("k", b"before", time.time())
    await local.set("k", b"early", None, only_if_absent=False)
    await shared.set("k", b"late", ttl=60)
    await merge(local, shared)
    assert (await local.get("k")) == await shared.get_versioned("k")
    assert (await local.get("k")).value == b"late"


async def test_what_was_written_meanwhile_stands_with_its_version(
    local: LocalState, shared: RedisStore
) -> None:
    await local.set("k", b"new", None, only_if_absent=False)
    await merge(local, shared)
    known = await local.get("k")
    assert known == await shared.get_versioned("k")
    assert known.version > 0
    assert await shared.put_if("k", b"newer", known.version) is not None


async def test_a_value_that_expired_before_the_merge_is_absent_after_it(
    local: LocalState, shared: RedisStore
) -> None:
    await shared.set("k", b"older")
    await local.set("k", b"brief", 0.001, only_if_absent=False)
    while (await local.get("k")).value is not None:
        pass
    await merge(local, shared)
    assert await shared.get("k") is None
    assert (await local.get("k")).version == 0


async def test_a_log_that_another_node_extended_is_not_known(local: LocalState, shared: RedisStore) -> None:
    await shared.append("talk", [b"1"])
    local.seen.saw_log("talk", [b"1"], time.time())
    await local.append("talk", [b"3"], 1, None)
    await shared.append("talk", [b"2"])
    await merge(local, shared)
    assert await shared.slice("talk") == [b"1", b"2", b"3"]
    with pytest.raises(StateUnavailable):
        await local.log("talk")


async def test_a_deleted_log_starts_anew(local: LocalState, shared: RedisStore) -> None:
    await shared.append("talk", [b"old", b"older"])
    local.seen.saw_log("talk", [b"old", b"older"], time.time())
    assert await local.delete(["talk"]) == 1
    await local.append("talk", [b"new"], 0, None)
    await merge(local, shared)
    assert await shared.slice("talk") == [b"new"]
    assert await local.log("talk") == [b"new"]


async def test_what_is_absorbed_lets_a_log_grow(local: LocalState, shared: RedisStore) -> None:
    await local.append("talk", [b"1", b"2"], 0, None)
    await merge(local, shared)
    await local.absorb()
    length = await shared.append("talk", [b"3"])
    local.seen.appended("talk", [b"3"], length or 0, time.time())
    assert await local.log("talk") == [b"1", b"2", b"3"]


class Cut(RedisStore):
    """A Redis that does what it is asked and whose answer is lost, once for each kind of write."""

    lose: set[str]

    async def append(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        return await self._lost("append", super().append(*args, **kwargs))

    async def merge_counter(self, *args):  # type: ignore[no-untyped-def]
        return await self._lost("merge_counter", super().merge_counter(*args))

    async def delete(self, *keys):  # type: ignore[no-untyped-def]
        return await self._lost("delete", super().delete(*keys))

    async def _lost(self, name, answer):  # type: ignore[no-untyped-def]
        value = await answer
        if name in self.lose:
            self.lose.discard(name)
            raise StateUnavailable("the answer was lost")
        return value


@pytest.mark.parametrize("lost", ["append", "merge_counter", "delete"])
async def test_an_answer_that_is_lost_does_not_merge_twice(
    lost: str, local: LocalState, url: str, tmp_path: Path
) -> None:
    shared = Cut(MemorySection(redis_url=url, namespace=tmp_path.name))
    shared.lose = set()
    await shared.append("talk", [b"0"])
    await shared.append("gone", [b"0"])
    await shared.add("c:x", 1)
    await local.append("talk", [b"1", b"2"], 1, None)
    await local.add("c:x", 2, 0)
    await local.delete(["gone"])
    await local.append("gone", [b"new"], 0, None)
    shared.lose = {lost}
    with pytest.raises(StateUnavailable):
        await merging.merge(local.journal, shared, "me")
    await local.append("talk", [b"3"], None, None)
    await local.add("c:x", 3, 0)
    await merge(local, shared)
    assert await shared.slice("talk") == [b"0", b"1", b"2", b"3"]
    assert await shared.slice("gone") == [b"new"]
    assert await shared.level("c:x") == await local.level("c:x", 0) == 6
    await shared.aclose()
