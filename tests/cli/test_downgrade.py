"""A node leaves alone what a newer version wrote, and says what to do."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.servers.warm.process import warm_command


@pytest.mark.parametrize(
    ("role", "file", "newer"),
    [
        ("Router", "state.db", "pragma user_version = 99"),
        ("RagManager", "rag/catalog.sqlite3", "pragma user_version = 99"),
        (
            "ChainEngine",
            "chains.db",
            "create table intellirouter_format (version integer primary key); insert into intellirouter_format values (99)",
        ),
    ],
)
def test_a_file_of_a_newer_version_is_refused(role: str, file: str, newer: str, tmp_path: Path) -> None:
    kept = tmp_path / "data" / file
    kept.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(kept)) as connection:
        connection.executescript(newer)
    done = subprocess.run(
        [*warm_command(), "run", "--role", role, "--port", "0"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / "data")},
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode not in (0, -9), said
    assert str(kept) in said
    assert "newer version of IntelliRouter (format 99; this one knows 1)" in said
    assert "Traceback" not in said
