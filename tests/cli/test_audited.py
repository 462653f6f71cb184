"""A change that a command makes past the node stands in the node's audit journal, by the command's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intellirouter.cli.main import main


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    return printed.out


def test_commands_that_change_something_are_audited_and_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[auth.audit]\nlevel = "standard"\n', encoding="utf-8"
    )
    config = ("--config", str(file))
    called(capsys, "users", "create", "ada", *config)
    called(capsys, "teams", "create", "helpdesk", *config)
    called(capsys, "users", "list", *config)
    called(capsys, "models", "add", "small", "--target", "ollama/small", *config)
    lines = called(capsys, "audit", "export", *config).splitlines()
    actions = [(entry["action"], entry["outcome"], entry["on"]) for entry in map(json.loads, lines)]
    assert actions == [
        ("users create", "ok", "ada"),
        ("teams create", "ok", "helpdesk"),
        ("models add", "ok", "small"),
    ]
