"""The thread that talks to SQLite, and the one beside it that only reads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from intellirouter.errors import StateUnavailable
from intellirouter.memory.embedded import engine as module
from intellirouter.memory.embedded import tables
from intellirouter.memory.embedded.engine import Engine

SCHEMA = "create table if not exists notes (text text);"
SECONDS = 20


def nothing(_db: sqlite3.Connection) -> bool:
    return False


def count(db: sqlite3.Connection) -> int:
    (number,) = db.execute("select count(*) from notes").fetchone()
    return int(number)


async def test_reads_apart_wait_for_no_write(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "notes.db", SCHEMA, nothing, reads_apart=True)
    await engine.start()
    begun, go = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        db.execute("insert into notes values ('slow')")
        begun.set()
        assert go.wait(SECONDS)

    async with asyncio.timeout(SECONDS):
        writing = asyncio.create_task(engine.write(slow))
        assert await asyncio.to_thread(begun.wait, SECONDS)
        assert await engine.read(count) == 0  # answered while the write is under way, which it does not see
        go.set()
        await writing
        assert await engine.read(count) == 1
    await engine.stop()


async def test_a_read_waits_for_none_that_was_asked_after_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "notes.db", SCHEMA, nothing, reads_apart=True)
    await engine.start()
    first, last = threading.Event(), threading.Event()
    async with asyncio.timeout(SECONDS):
        holding = asyncio.create_task(engine.read(lambda _: first.wait(SECONDS)))
        await asyncio.sleep(0)  # the two after it wait together
        quick = asyncio.create_task(engine.read(count))
        slow = asyncio.create_task(engine.read(lambda _: last.wait(SECONDS)))
        await asyncio.sleep(0)
        first.set()
        assert await quick == 0
        last.set()
        assert await holding
        assert await slow
    await engine.stop()


async def test_no_read_waits_for_one_aside(tmp_path: Path) -> None:
    """A long read has one moment's state; what is written meanwhile is seen by others."""
    engine = Engine(tmp_path / "notes.db", SCHEMA, nothing, reads_apart=True)
    await engine.start()
    begun, go = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> tuple[int, int]:
        before = count(db)
        begun.set()
        assert go.wait(SECONDS)
        return before, count(db)

    async with asyncio.timeout(SECONDS):
        aside = asyncio.create_task(engine.read_aside(slow))
        assert await asyncio.to_thread(begun.wait, SECONDS)
        await engine.write(lambda db: db.execute("insert into notes values ('one')"))
        assert await engine.read(count) == 1
        go.set()
        assert await aside == (0, 0)
        with pytest.raises(StateUnavailable):
            await engine.read_aside(lambda db: db.execute("insert into notes values ('two')"))
    await engine.stop()
    with pytest.raises(StateUnavailable):
        await engine.read_aside(count)


@pytest.mark.parametrize("reads_apart", [True, False])
@pytest.mark.parametrize("name", ["notes.db", None])
async def test_a_read_sees_what_was_answered_before(
    tmp_path: Path, reads_apart: bool, name: str | None
) -> None:
    engine = Engine(name and tmp_path / name, SCHEMA, nothing, reads_apart=reads_apart)
    await engine.start()

    async def one(number: int) -> None:
        await engine.write(lambda db: db.execute("insert into notes values (?)", (str(number),)))
        words = "select count(*) from notes where text = ?"
        assert await engine.read(lambda db: db.execute(words, (str(number),)).fetchone()[0]) == 1

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(one(number) for number in range(300)))
        assert await engine.read(count) == 300
    await engine.stop()
    with pytest.raises(StateUnavailable, match="closed"):
        await engine.read(count)


async def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "notes.db", SCHEMA, nothing, reads_apart=True)
    await engine.start()
    with pytest.raises(StateUnavailable, match="readonly"):
        await engine.read(lambda db: db.execute("insert into notes values ('x')"))
    assert await engine.read(count) == 0
    await engine.stop()


async def test_what_one_asks_wrongly_harms_no_other(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "notes.db", SCHEMA, nothing, reads_apart=True)
    await engine.start()

    def wrong(db: sqlite3.Connection) -> None:
        db.execute("insert into notes values ('half')")
        raise ValueError("wrong")

    outcomes = await asyncio.gather(
        engine.write(wrong),
        engine.write(lambda db: db.execute("insert into notes values ('whole')")),
        engine.read(lambda _: 1 / 0),
        engine.read(lambda _: "fine"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes[:1] + outcomes[2:3]] == [ValueError, ZeroDivisionError]
    assert outcomes[3] == "fine"
    assert await engine.read(count) == 1
    await engine.stop()


@pytest.mark.parametrize("by_itself", [False, True])
async def test_what_expired_is_forgotten_in_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_itself: bool
) -> None:
    monkeypatch.setattr(tables, "SWEPT", 100)
    monkeypatch.setattr(module, "SWEEP_INTERVAL", 0.01 if by_itself else 3600)
    monkeypatch.setattr(module, "SWEEP_AGAIN", 0.01)
    engine = Engine(tmp_path / "state.db", tables.SCHEMA)
    await engine.start()
    rows = [(f"k{number}", b"v", 1, 1.0 if number < 250 else None) for number in range(260)]
    await engine.write(lambda db: db.executemany("insert into entry values (?, ?, ?, ?)", rows))

    def left(db: sqlite3.Connection) -> int:
        return int(db.execute("select count(*) from entry").fetchone()[0])

    if not by_itself:
        for more, rows_left in ((True, 160), (True, 60), (False, 10)):
            assert await engine.write(tables.sweep) is more
            assert await engine.read(left) == rows_left
    async with asyncio.timeout(60):
        while await engine.read(left) > 10:  # each batch takes a portion along, when it is time
            pass
    assert not await engine.write(tables.sweep)
    assert await engine.read(left) == 10
    await engine.stop()
