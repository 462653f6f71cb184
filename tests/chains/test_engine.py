"""The database of durable runs, whatever SQLite Python was built with."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from intellirouter.chains.runtime.durable import engine as module


@pytest.mark.parametrize("newest", [(3, 42), (99,)], ids=["as it is", "as an older one"])
def test_sqlite_tells_the_time_in_fractions_of_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: tuple[int, ...]
) -> None:
    monkeypatch.setattr(module, "SUBSECONDS", newest)
    engine = module.open_engine(f"sqlite:///{tmp_path}/runs.db")
    with engine.begin() as connection:
        words = "create table t (name text, at integer not null default (unixepoch('subsec') * 1000))"
        connection.execute(sa.text(words))
        connection.execute(sa.text("insert into t (name) values ('x')"))
        stored = connection.execute(sa.text("select at from t")).scalar()
        asked = connection.execute(sa.select(sa.func.unixepoch("subsec"))).scalar()
    engine.dispose()
    assert stored is not None
    assert asked is not None
    assert abs(stored / 1e3 - time.time()) < 60
    assert abs(asked - time.time()) < 60
