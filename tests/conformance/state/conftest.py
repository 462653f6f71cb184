"""Every backend, opened for one test in a namespace of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from intellirouter.config.schema.memory import MemorySection
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.redis.store import RedisStore
from intellirouter.memory.resilient import ResilientStore
from intellirouter.memory.store import StateStore
from tests.servers.redis import redis_cluster, redis_sentinel, redis_server

BACKENDS = ("memory", "file", "redis", "resilient", "sentinel", "cluster")


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    with redis_sentinel(tmp_path_factory.mktemp("sentinel")) as (_, _, watchers):
        yield tuple(f"127.0.0.1:{watcher.port}" for watcher in watchers)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes[0].url


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StateStore]:
    opened = await _open(request, tmp_path)
    yield opened
    await opened.aclose()


async def _open(request: pytest.FixtureRequest, directory: Path) -> StateStore:
    namespace = f"t{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        return await EmbeddedStore().open()
    if request.param == "file":
        return await EmbeddedStore(directory / "state.db").open()
    if request.param == "sentinel":
        addresses = request.getfixturevalue("sentinels")
        return RedisStore(_patient(MemorySection(redis_sentinels=addresses, namespace=namespace)))
    if request.param == "cluster":
        url = request.getfixturevalue("cluster")
        return RedisStore(_patient(MemorySection(redis_url=url, redis_cluster=True, namespace=namespace)))
    section = _patient(MemorySection(redis_url=request.getfixturevalue("single"), namespace=namespace))
    if request.param == "redis":
        return RedisStore(section)
    return await ResilientStore(RedisStore(section), directory, section).open()


def _patient(section: MemorySection) -> MemorySection:
    """A loaded machine must not look like an outage here: what happens in one is tested in tests/memory/test_outage.py."""
    return section.model_copy(update={"patience": 10.0, "timeout": 10.0})
