"""What a shell is offered under the cursor, in the forms of the three shells."""

from __future__ import annotations

import pytest

from intellirouter.cli.completing import ASKED, answer
from intellirouter.cli.main import build


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    def ask(words: list[str], form: str = "words", place: str | None = None) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", "\n".join(["intellirouter", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)) if place is None else place)
        monkeypatch.setenv(ASKED, form)
        answer(build)
        return capsys.readouterr().out.splitlines()

    return ask


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["keys", "cr"], ["create"]),
        (["run", "--ro"], ["--role"]),
        (["run", "--role", "Router", "--ro"], ["--role"]),
        (["run", "--role", "--ro"], []),  # what stands behind it is its value
        (["run", "--config=x.toml", "--ro"], ["--role"]),
        (["chain", "ls", "--json", "--pe"], []),  # a flag takes nothing: what stands behind it is as it was
        (["nope", "c"], []),
        (["keys", "nope", "c"], []),
        (["completion", "z"], ["zsh"]),
        (["audit", "export", "--format", "c"], ["csv"]),
    ],
)
def test_what_begins_so_is_offered(offered: object, words: list[str], wanted: list[str]) -> None:
    assert sorted(offered(words)) == sorted(wanted)  # type: ignore[operator]


def test_each_shell_has_its_form(offered: object) -> None:
    plain, described, tabbed = (
        offered(["keys", "cr"], form)  # type: ignore[operator]
        for form in ("words", "described", "tabbed")
    )
    assert plain == ["create"]
    assert described[0].startswith("create:") and len(described[0]) > len("create:")
    assert tabbed == [described[0].replace(":", "\t", 1)]


@pytest.mark.parametrize("place", ["", "x", "0", "-1", "99"])
def test_a_cursor_that_is_nowhere_is_no_failure(offered: object, place: str) -> None:
    assert isinstance(offered(["keys", "cr"], place=place), list)  # type: ignore[operator]
