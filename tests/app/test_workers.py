"""Which deaths of worker processes end a node, and which it mends."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from intellirouter.app import workers
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
