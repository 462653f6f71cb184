"""What a process that the node starts is told."""

from __future__ import annotations

from pathlib import Path

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


def test_a_credential_of_systemd_is_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("IPC_TOKEN", "from-systemd\n"), ("OPENAI_API_KEY", "sk-1\n"), ("not a name", "x")):
        (tmp_path / name).write_text(value)
    (tmp_path / "LARGE").write_bytes(bytes(1 << 20))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "by hand")
    found = env.current()
    assert found["IPC_TOKEN"] == "from-systemd"
    assert found["OPENAI_API_KEY"] == "by hand"
    assert "not a name" not in found
    assert "LARGE" not in found
    assert "CREDENTIALS_DIRECTORY" not in env.for_child()
