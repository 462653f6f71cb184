"""Several worker processes: which configurations may have them, which of their deaths end a node, and which it mends."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from intellirouter.app import workers
from intellirouter.app.roles import select
from intellirouter.app.workers import MAX_QUICK_DEATHS, QUICK_DEATH_SECONDS
from intellirouter.config.load import load
from intellirouter.errors import ConfigError


def test_only_workers_that_die_at_once_and_again_and_again_end_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers.time, "sleep", lambda _: None)
    parent = workers._Parent(load(None, {}, {("server", "workers"): 2}), (), lambda: load(None, {}), print)
    begun: list[int] = []
    monkeypatch.setattr(parent, "_start", begun.append)
    dead: Any = SimpleNamespace(pid=1, exitcode=1)
    now = time.monotonic()

    def dies(times: int, lived: float = 0.0) -> None:
        for _ in range(times):
            parent._restart(1, dead, now - lived)

    dies(MAX_QUICK_DEATHS - 1)
    dies(1, lived=2 * QUICK_DEATH_SECONDS)  # it served for a while: what was wrong has passed
    dies(MAX_QUICK_DEATHS - 1)
    assert begun == [1] * (2 * MAX_QUICK_DEATHS - 1)
    with pytest.raises(ConfigError, match="die right after they start"):
        dies(1)


@pytest.mark.parametrize(
    ("count", "port", "role", "outcome"),
    [
        (1, 0, "Router", "alone"),
        (1, 8082, "RagManager", "alone"),
        (1, 0, "All", "alone"),
        (2, 8080, "Router", "several"),
        (2, 0, "Router", "needs a fixed server.port"),
        (2, 8082, "RagManager", "applies to the Router"),
        (2, 8080, "All", "applies to the Router"),
    ],
)
def test_several_workers_are_for_a_router_with_a_port(
    count: int, port: int, role: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []

    class Parent:
        def __init__(self, *_: Any) -> None:
            """Takes what the true one takes."""

        def run(self) -> None:
            served.append("several")

    def alone(*_: Any, **__: Any) -> None:
        served.append("alone")

    monkeypatch.setattr(workers, "_serve", alone)
    monkeypatch.setattr(workers, "_Parent", Parent)
    file = tmp_path / "node.toml"
    file.write_text(
        f"[server]\nport = {port}\nworkers = {count}\n[paths]\ndata_dir = '{tmp_path}'\n"
        "[memory]\nbackend_type = 'redis'\nredis_url = 'redis://127.0.0.1:1'\n"
    )

    def start() -> None:
        workers.run(select(role), lambda: load(file, {}), announce=lambda _: None)

    if outcome in ("alone", "several"):
        start()
        assert served == [outcome]
    else:
        with pytest.raises(ConfigError, match=outcome):
            start()
        assert served == []
