"""What the terminal shows is what there is, square brackets too."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from intellirouter.cli.main import main
from intellirouter.cli.plain import cells, warn

PRINTED = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@given(PRINTED)
def test_any_text_is_shown_as_it_is(text: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    table = Table(show_header=False)
    table.add_row(*cells(text, 7))
    console.print(table)
    warn(console, text)
    assert out.getvalue().count(text) >= 2


CHAIN = """
chain: {name: brackets}
input: {items: {type: array}}
steps:
  - {id: first, when: "input.items[0] == 'x'", set: {said: input.items}}
output: {answer: "steps.first.said"}
"""


@pytest.mark.parametrize(
    ("file", "text", "words", "shown"),
    [
        (
            "node[auth].toml",
            "[server]\nport = 1\n",
            ("validate-config", "--config", "FILE"),
            "node[auth].toml: valid",
        ),
        ("brackets.yaml", CHAIN, ("chain", "show", "FILE"), "input.items[0] =="),
    ],
)
def test_commands_show_brackets(
    file: str,
    text: str,
    words: tuple[str, ...],
    shown: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / file).write_text(text)
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / file) if word == "FILE" else word for word in words])
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    assert shown in said.out
