"""`intellirouter roles`: what each role lets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intellirouter.cli.main import main
from intellirouter.security.permissions import PERMISSION


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["roles", *words])
    assert not ended.value.code
    return capsys.readouterr().out


def test_permissions_are_whole_words_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "router.toml"
    file.write_text("")
    monkeypatch.setenv("COLUMNS", str(max(map(len, PERMISSION)) + 8))
    most = max(
        json.loads(said(capsys, "--json", "--config", str(file))), key=lambda role: len(role["permissions"])
    )
    shown = said(capsys, most["name"], "--config", str(file))
    assert set(most["permissions"]) <= set(shown.split())
