"""`intellirouter status`: what runs here, and how it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from intellirouter.app.node_files import announced
from intellirouter.cli.main import main
from tests.conftest import StartVendor
from tests.servers.vendor import Play

HEALTHY = {"status": "healthy", "version": "1.2.3", "uptime_seconds": 90, "parts": {}}
SICK = {
    **HEALTHY,
    "status": "degraded",
    "parts": {"models": {"status": "degraded", "reason": "none answers"}},
}


@pytest.mark.parametrize(
    ("health", "code", "shown"),
    [
        (HEALTHY, 0, ["Router", "WHERE", "1.2.3", "healthy", "last backup: none"]),
        ({**HEALTHY, "draining": True}, 0, ["healthy, draining"]),
        (SICK, 1, ["degraded", "Router, models: none answers"]),
        ({"status": "fine"}, 1, ["unreachable", "WHERE is no IntelliRouter"]),
        (None, 3, ["Nothing runs on DATA."]),
    ],
)
async def test_what_runs_here_is_shown_with_its_health(
    health: dict[str, Any] | None,
    code: int,
    shown: list[str],
    start_vendor: StartVendor,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file, data = tmp_path / "router.toml", tmp_path / "data"
    file.write_text(f"[paths]\ndata_dir = '{data}'\n[memory]\nbackend_type = 'embedded'\n")
    (data / "nodes").mkdir(parents=True)
    node = await start_vendor(Play.json(health or {}))

    def status() -> int:
        with pytest.raises(SystemExit) as ended:
            main(["status", "--config", str(file)])
        return int(ended.value.code or 0)

    if health is None:
        got = await asyncio.to_thread(status)
    else:
        with announced(data, {"Router": node.url}, os.getpid()):
            got = await asyncio.to_thread(status)
    said = capsys.readouterr().out.replace(node.url, "WHERE").replace(str(data), "DATA")
    assert got == code, said
    assert [words for words in shown if words not in said] == [], said
