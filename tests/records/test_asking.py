"""The record as whoever looks at it asks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from intellirouter.errors import StateUnavailable
from intellirouter.records.query import Query
from intellirouter.records.records import Records
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.roles.router.recorded import JOTTED


async def test_who_gives_up_while_it_is_opened_leaves_no_store_open(tmp_path: Path) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    opened: list[SqliteStore] = []

    def slowly() -> SqliteStore:
        begun.set()
        assert may_go_on.wait(60)
        opened.append(SqliteStore(tmp_path / "requests.db"))
        return opened[0]

    records = Records(slowly, JOTTED.rows)
    asking = asyncio.create_task(records.ask(lambda store: store.page(Query(), 10)))
    assert await asyncio.to_thread(begun.wait, 60)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    closing = asyncio.create_task(records.aclose())
    may_go_on.set()
    await closing
    with pytest.raises(StateUnavailable, match="closed"):
        opened[0].page(Query(), 10)


async def test_a_store_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    place = tmp_path / "not yet"
    place.write_text("")  # where a folder is to be

    records = Records(lambda: SqliteStore(place / "requests.db"), JOTTED.rows)
    for _ in range(2):
        with pytest.raises(StateUnavailable, match="cannot be opened"):
            await records.ask(lambda store: store.page(Query(), 10))
    place.unlink()
    assert not (await records.ask(lambda store: store.page(Query(), 10))).rows
    await records.aclose()
