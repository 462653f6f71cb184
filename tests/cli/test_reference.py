"""The command reference and the manual page say what the commands say; every help fits a terminal of 80 columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from intellirouter import __version__
from intellirouter.cli.main import COMMANDS, build
from intellirouter.cli.reference import Page, manual, markdown, pages

ROOT = Path(__file__).parents[2]
REMEDY = "run: python -m scripts.reference"


@pytest.fixture(scope="module")
def found() -> list[Page]:
    return [*pages(build, list(COMMANDS))]


def test_the_reference_is_what_the_commands_say(found: list[Page]) -> None:
    assert (ROOT / "config/COMMANDS.md").read_text(encoding="utf-8") == markdown(found), REMEDY


def test_the_manual_is_what_the_commands_say(found: list[Page]) -> None:
    text = (ROOT / "packaging/man/intellirouter.1").read_text(encoding="utf-8")
    assert text == manual(found, __version__), REMEDY
    known = re.compile(r"\.(TH|SH|SS|TP|B)\b|[^.']|$")
    assert all(known.match(line) for line in text.splitlines()), "a line of text is taken for a macro"


def test_every_command_says_what_it_does_and_what_each_option_means(found: list[Page]) -> None:
    silent = [" ".join(page.words) for page in found if not page.text]
    silent += [
        f"{' '.join(page.words)} {names}" for page in found for names, text in page.rows if not text.strip()
    ]
    assert silent == []


def test_every_help_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    wide = []
    for name in COMMANDS:
        app = build(name)
        for page in pages(build, [name]):
            with pytest.raises(SystemExit):
                app([*page.words, "--help"], prog_name="intellirouter")
            wide += [line for line in capsys.readouterr().out.splitlines() if len(line.rstrip()) > 80]
    assert wide == []
