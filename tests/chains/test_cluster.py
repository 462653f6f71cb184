"""Nodes that share a Postgres: a killed node's run is taken over, a frozen one's too, and nothing is recorded twice."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from intellirouter.chains.runtime.durable import cluster, form
from intellirouter.chains.runtime.durable.waits import Waits
from intellirouter.errors import NewerFormat
from intellirouter.roles.chain_engine.store import METADATA, Store
from tests.chains.cluster_campaign import campaign
from tests.chains.cluster_child import STEPS
from tests.chains.crash import CHILD, ROOT, crash
from tests.servers.postgres import postgres


@pytest.fixture
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


def test_nodes_that_start_at_once_on_an_empty_database_make_its_tables_once(database: str) -> None:
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"), pool_size=30)
    steps = [
        Waits(engine).prepare,
        partial(cluster.prepare, engine),
        partial(form.note, engine),
        Store(engine).prepare,
    ]
    with ThreadPoolExecutor(30) as pool:
        for done in [pool.submit(step) for step in steps for _ in range(10)]:
            done.result(60)
    names = set(sa.inspect(engine).get_table_names())
    assert {cluster.TABLE.name, *METADATA.tables} < names
    form.check(engine)
    with engine.begin() as connection:  # a newer version migrates it
        connection.execute(sa.insert(form.TABLE).values(version=form.VERSION + 1))
    with pytest.raises(NewerFormat, match="newer version"):
        form.check(engine)
    engine.dispose()


@pytest.mark.parametrize("kill_at", [6])
def test_another_node_takes_a_killed_nodes_run_over(database: str, tmp_path: Path, kill_at: int) -> None:
    found = crash(database, tmp_path, kill_at=kill_at)
    assert found.killed
    assert found.recorded
    assert not found.recorded & found.repeats
    assert found.output["ok"]["z"] == "end"


def test_a_frozen_node_that_comes_back_changes_nothing(database: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def node() -> subprocess.Popen[str]:
        command = [sys.executable, str(CHILD), database, str(journal), "kinds", "0", "0"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    first = node()
    try:
        deadline = time.monotonic() + 30
        while not journal.read_text() and time.monotonic() < deadline:
            time.sleep(0.001)
        first.send_signal(signal.SIGSTOP)
        second = node()
        after = second.communicate(timeout=40)[0]
        first.send_signal(signal.SIGCONT)
        before = first.communicate(timeout=40)[0]
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert _said(before) == _said(after)
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT function_id, function_name FROM dbos.operation_outputs")
        ).all()
    engine.dispose()
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == len(rows) == 11


def _said(output: str) -> object:
    """What the program printed: its log stands before that, and behind it where the node goes on for a moment."""
    printed = [line for line in output.splitlines() if line.startswith(("{", "[", "("))]
    return ast.literal_eval(printed[-1])


def test_three_nodes_one_killed_one_frozen_lose_and_repeat_nothing(database: str, tmp_path: Path) -> None:
    found = campaign(database, tmp_path, runs=18, beat=0.2, ttl=1.0, seconds=60)
    assert found.finished == 18
    assert found.steps_per_run == {STEPS}
    assert (found.recorded_twice, found.repeated, found.changed) == (0, 0, 0)
    assert len(found.results) == 6  # the same input gave the same result on every node
