"""What diagnose says of the record of requests."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr

from intellirouter.config.schema.records import RecordsSection
from intellirouter.ops.diagnose.finding import Level
from intellirouter.ops.diagnose.request_record import request_record
from intellirouter.records.postgres.store import PostgresStore
from intellirouter.records.row import Ids, Row
from intellirouter.records.sqlite.store import SqliteStore
from tests.servers.ports import free_port
from tests.servers.postgres import postgres

ROW = Row(id=Ids().next(1_700_000_000.0), ended=1_700_000_000.0)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def moved_aside(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.glob("requests.db.damaged-*")]


async def test_a_file_that_is_there_is_measured_and_one_that_is_not_is_not_made(tmp_path: Path) -> None:
    (found,) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.level is Level.OK and "has not run" in found.message and not names(tmp_path)
    store = SqliteStore(tmp_path / "requests.db")
    store.write([ROW])
    store.close()
    (found,) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.level is Level.OK and "last written 2023-11-14 22:13:20" in found.message
    (tmp_path / "requests.db").chmod(0o644)
    found = (await request_record(RecordsSection(), tmp_path, 5))[-1]
    assert found.level is Level.WARNING and "chmod 600" in found.advice


async def test_a_file_of_a_version_that_held_nothing_back_is_read(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "requests.db")
    store.write([ROW])
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "requests.db")) as connection, connection:
        connection.execute("drop table held")
    (found,) = await request_record(RecordsSection(), tmp_path, 5)
    assert found.level is Level.OK and "last written 2023-11-14 22:13:20" in found.message


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_damaged_file_is_told_and_the_next_start_moves_it_aside(
    tmp_path: Path, damage: bytes
) -> None:
    file = tmp_path / "requests.db"
    file.write_bytes(damage)
    (found,) = [
        one for one in await request_record(RecordsSection(), tmp_path, 5) if one.level is Level.PROBLEM
    ]
    assert "requests.db" in found.message
    store = SqliteStore(file)
    store.write([ROW])
    store.close()
    assert moved_aside(tmp_path) == [damage]


async def test_a_postgres_is_asked_and_its_absence_told_without_its_password(tmp_path: Path) -> None:
    away = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/x"
    (found,) = await request_record(RecordsSection(database_url=SecretStr(away)), tmp_path, 5)
    assert found.level is Level.PROBLEM and "hunter2" not in found.message
    with postgres() as url:
        section = RecordsSection(database_url=SecretStr(url))
        (found,) = await request_record(section, tmp_path, 5)
        assert found.level is Level.OK and "not made yet" in found.message
        store = PostgresStore(url)
        store.write([ROW])
        store.close()
        (found,) = await request_record(section, tmp_path, 5)
        assert "last written 2023-11-14 22:13:20" in found.message
