"""What a process that the node starts is told."""

from __future__ import annotations

import pytest

from intellirouter.config import env


def test_a_child_is_told_how_to_run_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"PATH": "/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    kept_back = (
        "OPENAI_API_KEY",
        "INTELLIROUTER__IPC__SECURITY__TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "IPC_TOKEN",
        "HTTPS_PROXY",
        "PGPASSWORD",
    )
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    for name in kept_back:
        monkeypatch.setenv(name, "planted")
    given = env.for_child()
    assert told.items() <= given.items()
    assert "planted" not in given.values()
    assert env.for_child(prefix="PG")["PGPASSWORD"] == "planted"
