"""The embedded store as several processes of one node use it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from intellirouter.errors import StateUnavailable
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.store import Claim

WORKER = """
import asyncio, sys
from pathlib import Path
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.store import Claim

async def main():
    store = await EmbeddedStore(Path(sys.argv[1])).open()
    outcomes = await asyncio.gather(*(store.reserve([Claim("b:k", 1, 100)]) for _ in range(80)))
    await store.publish("worker:all:done", b"%d" % sum(o.granted for o in outcomes))
    await store.aclose()

asyncio.run(main())
"""


async def test_processes_on_one_file_share_limits_and_hear_one_another(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await EmbeddedStore(path).open()
    async with store.subscribe("worker:*") as events, asyncio.timeout(30):
        workers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, str(path)) for _ in range(3)
        ]
        granted = [int((await anext(events)).payload) for _ in workers]
        for worker in workers:
            assert await worker.wait() == 0
    assert sum(granted) == 100
    assert await store.level("b:k") == 100
    await store.aclose()


async def test_what_was_acknowledged_is_there_after_a_reopening(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.db"
    store = await EmbeddedStore(path).open()
    await store.set("k", b"v")
    await store.reserve([Claim("b:k", 3, 5)])
    await store.aclose()
    with pytest.raises(StateUnavailable, match="closed"):
        await store.get("k")
    again = await EmbeddedStore(path).open()
    assert await again.get("k") == b"v"
    assert await again.level("b:k") == 3
    await again.aclose()


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StateUnavailable, match="state"):
        await EmbeddedStore(tmp_path / "file" / "state.db").open()
