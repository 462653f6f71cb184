"""Runs as the store lists them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from intellirouter.roles.chain_engine.store import RunRow, Store


def test_runs_that_started_at_once_are_all_listed(tmp_path: Path) -> None:
    store = Store(sa.create_engine(f"sqlite:///{tmp_path}/runs.db"))
    store.prepare()
    times = (2.0, 1.0, 1.0, 1.0, 1.0, 0.5)
    for number, created in enumerate(times):
        for tenant in ("a", "b"):
            store.add_run(RunRow(f"run_{tenant}{number}", tenant, "c", 1, "", b"{}", created))
    listed: list[RunRow] = []
    while rows := store.runs("a", None, (listed[-1].created, listed[-1].run_id) if listed else None, 2):
        listed += rows
    assert [row.run_id for row in listed] == [f"run_a{number}" for number in range(len(times))]
    store.engine.dispose()
