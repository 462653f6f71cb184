"""Runs as the store lists them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.cluster import Cluster, prepare
from intellirouter.roles.chain_engine.schedules import ScheduleStore
from intellirouter.roles.chain_engine.service import ChainService
from intellirouter.roles.chain_engine.store import RunRow, Store, plain
from intellirouter.security.caller import Owner


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


def test_what_an_earlier_version_stored_is_read(tmp_path: Path) -> None:
    """It kept the whole caller with a run and a schedule, and knew no problem of a schedule."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/runs.db")
    caller = b'{"key_id":"ann","tenant":"acme","team":null,"scopes":["inference"],"models":["m"],"role":null,"quota":null,"priority":0,"metadata":{}}'
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table intellirouter_chain_schedules (tenant varchar(200), name varchar(200), chain varchar(200), "
                "cron varchar(200), timezone varchar(100), inputs blob, caller blob, catch_up boolean, paused boolean, "
                "seen float, primary key (tenant, name))"
            )
        )
        connection.execute(
            sa.text(
                "insert into intellirouter_chain_schedules values ('acme', 's', 'c', '* * * * *', 'UTC', '{}', :caller, 0, 0, 1)"
            ),
            {"caller": caller},
        )
    store = Store(engine)
    store.prepare()
    store.prepare()
    store.add_run(RunRow("run_1", "acme", "c", 1, "", caller, 1.0))
    row = store.run("run_1")
    assert row is not None
    assert row.owner() == Owner("acme", "ann")
    schedules = ScheduleStore(engine)
    (schedule,) = schedules.all()
    assert (schedule.owner(), schedule.problem) == (Owner("acme", "ann"), None)
    assert schedules.change("acme", "s", problem="gone")
    assert schedules.all()[0].problem == "gone"
    engine.dispose()


def test_ids_of_two_tenants_never_meet() -> None:
    paths = {f"{plain(tenant)}/{plain(key)}" for tenant, key in (("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"))}
    assert len(paths) == 3


@pytest.mark.parametrize(
    ("beats", "listed"),
    [((), [("a", True)]), (("a",), [("a", True)]), (("a", "b"), [("a", True), ("b", True)])],
)
def test_the_nodes_are_those_that_share_the_database(
    beats: tuple[str, ...], listed: list[tuple[str, bool]], tmp_path: Path
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/runs.db")
    prepare(engine)
    clusters = [Cluster(engine, node, lambda _: None, 5.0, 30.0, True) for node in beats]
    for one in clusters:
        one.beat()
    runtime = SimpleNamespace(node="a", cluster=clusters[0] if clusters else None)
    service: Any = SimpleNamespace(runtime=runtime)
    assert sorted((each["node"], each["alive"]) for each in ChainService.nodes(service)) == listed
    engine.dispose()
