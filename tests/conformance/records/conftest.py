"""The stores of the record that the suite runs against: SQLite, and a real Postgres; each in plain, and encrypted."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from intellirouter.records.postgres.schema import SCHEMA_NAME
from intellirouter.records.postgres.store import PostgresStore
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.records.store import Store
from intellirouter.security.sealing import Sealer
from tests.servers.postgres import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(autouse=True)
def each_ids_of_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes every four thousandth pair has the same number by chance; here none has."""
    numbers = itertools.count()
    monkeypatch.setattr("intellirouter.records.row.getrandbits", lambda bits: next(numbers) % (1 << bits))


@pytest.fixture(params=["sqlite", "postgres", "sealed sqlite", "sealed postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    wrap = (
        partial(SealedRecords, sealer=Sealer((b"1" * 32,))) if "sealed" in request.param else lambda one: one
    )
    if request.param.endswith("sqlite"):
        with contextlib.closing(SqliteStore(tmp_path / "requests.db")) as opened:
            yield wrap(opened)
        return
    url = request.getfixturevalue("server")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"drop schema if exists {SCHEMA_NAME} cascade")
    with contextlib.closing(PostgresStore(url)) as opened:
        yield wrap(opened)
