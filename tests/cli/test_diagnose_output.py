"""What `intellirouter diagnose` says is its report alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog

from intellirouter.cli import diagnose
from intellirouter.cli.main import main
from intellirouter.ops.diagnose.finding import Finding, Level


def test_what_is_logged_while_it_looks_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def examined(*_: object) -> list[Finding]:
        structlog.get_logger().warning("state.away")
        return [Finding("state", "state", Level.WARNING, "The state is away.", "Start it.")]

    monkeypatch.setattr(diagnose, "_examined", examined)
    file = tmp_path / "node.toml"
    file.write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", "--json", "--config", str(file)])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.err) == (1, "")
    assert "The state is away." in [each["message"] for each in json.loads(printed.out)["findings"]]
