"""Every command says a mistake in a sentence: no traceback, no secret, and an exit code that is not 0."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from intellirouter.cli.emptiness import MEANT
from intellirouter.cli.failing import UNFORESEEN, told
from intellirouter.cli.main import COMMANDS, build

ROOT = Path(__file__).parents[2]
WELL = {"run"}  # starts a node


def inner_of(group: Any) -> dict[str, Any]:
    """The commands of a group, by name."""
    context = typer.Context(group)
    return {name: group.get_command(context, name) for name in group.list_commands(context)}


def commands() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each command's words, and the names of the arguments it cannot do without."""
    for name, entry in COMMANDS.items():
        if name in WELL:
            continue
        root = get_command(build(name))
        command = root.commands[name]  # type: ignore[attr-defined]
        for word, one in (inner_of(command) if entry.group else {"": command}).items():
            words = (name, word) if word else (name,)
            yield (
                words,
                [
                    parameter.name
                    for parameter in one.params
                    if parameter.param_type_name == "argument" and parameter.required
                ],
            )


def every_command(words: tuple[str, ...] = (), command: Any = None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command that does something, also in a group within a group."""
    if command is None:
        for name in COMMANDS:
            yield from every_command((name,), get_command(build(name)).commands[name])  # type: ignore[attr-defined]
    elif hasattr(command, "list_commands"):
        for name, inner in inner_of(command).items():
            yield from every_command((*words, name), inner)
    else:
        yield words, command


ALL = dict(commands())


def walk(calls: list[list[str]], directory: Path, **environment: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/cli/walk.py")],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=170,
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "INTELLIROUTER__PATHS__DATA_DIR": str(directory / "data"),
            "INTELLIROUTER_URL": "http://127.0.0.1:1",
            "INTELLIROUTER_CHAIN_URL": "http://127.0.0.1:1",
            **environment,
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def well_said(outcome: dict[str, object]) -> None:
    told = str(outcome["printed"])
    assert isinstance(outcome["code"], int), outcome
    assert "Traceback" not in told, outcome
    assert "should not have happened" not in told, outcome
    assert outcome["code"] == 0 or told.strip(), outcome


BAD_VALUES = ["no such thing", "", "/nowhere/at/all", "ключ", "-1"]


def test_a_wrong_argument_of_any_command_is_a_sentence(tmp_path: Path) -> None:
    calls = [
        [*words, *(["--"] if bad == "-1" else []), *([bad] * len(needed))]
        for words, needed in ALL.items()
        for bad in (BAD_VALUES if needed else BAD_VALUES[:1])
        if words not in {("keys", "create"), ("keys", "hash"), ("persona", "edit")}
    ]
    (tmp_path / "data").mkdir()
    for outcome in walk(calls, tmp_path):
        well_said(outcome)


def texts() -> Iterator[tuple[list[str], str]]:
    """Each call in which one text, name, path or address is empty, and what is called so there."""
    for words, one in every_command():
        needed = [each for each in one.params if each.param_type_name == "argument" and each.required]
        for place, each in enumerate(needed):
            yield [*words, *(["x"] * place), ""], f"'{each.name}'"
        for option in one.params:
            if option.param_type_name == "argument" or option.is_flag or (words[0], option.opts[0]) in MEANT:
                continue
            yield [*words, *(["x"] * len(needed)), option.opts[0], ""], option.opts[0]
            if option.opts[0].startswith("--"):
                yield [*words, *(["x"] * len(needed)), f"{option.opts[0]}="], option.opts[0]


def test_what_is_empty_is_named_by_any_command_and_nothing_is_done(tmp_path: Path) -> None:
    calls = [
        *texts(),
        (["backup", "--to", ""], "--to"),
        (["features", "off", ""], "'feature'"),
        (["requests", " "], "'request'"),
    ]
    assert len(calls) > 400, "every command's options"
    before = set(tmp_path.iterdir())
    for (arguments, name), outcome in zip(calls, walk([each for each, _ in calls], tmp_path), strict=True):
        assert outcome["code"] == 2, outcome
        assert str(outcome["printed"]).startswith(f"error: {name} is empty: give it a value"), (
            arguments,
            outcome,
        )
    assert set(tmp_path.iterdir()) == before


def test_what_is_empty_does_not_hide_another_mistake_and_means_something_to_some(tmp_path: Path) -> None:
    calls = [
        ["backup", "list", "--nosuch", ""],
        ["init", "--backups", "", "--help"],
        ["chain", "run", "x", "-i", "q="],
    ]
    for outcome, words in zip(walk(calls, tmp_path), ("--nosuch", "Usage", "cannot be read"), strict=True):
        assert words in str(outcome["printed"]), outcome


def test_ls_and_list_are_the_same_where_there_is_one_of_the_two(tmp_path: Path) -> None:
    calls = [
        *(["models", "ls", "--help"], ["chain", "list", "--help"], ["rag", "sources", "list", "--help"]),
        *(["backup", "ls", "--help"], ["backup", "list", "--help"], ["route", "ls"]),
    ]
    *well, contents, backups, none = walk(calls, tmp_path)
    for outcome, usage in zip(well, ("models list", "chain ls", "rag sources ls"), strict=True):
        assert (outcome["code"], f"Usage: intellirouter {usage}" in str(outcome["printed"])) == (0, True), (
            outcome
        )
    assert "Usage: intellirouter backup ls" in str(contents["printed"]), "it has both, which differ"
    assert "Usage: intellirouter backup list" in str(backups["printed"])
    assert (none["code"], "No such command 'ls'" in str(none["printed"])) == (2, True), none


def test_who_runs_a_name_or_reads_no_backup_is_told_in_plain_words(tmp_path: Path) -> None:
    name, backup = walk([["chain", "run", "judge-loop"], ["backup", "verify", "nosuch.irbackup"]], tmp_path)
    assert "`intellirouter chain start` runs a chain that a server keeps" in str(name["printed"])
    assert str(backup["printed"]).count("nosuch.irbackup") == 1
    assert "Errno" not in str(backup["printed"])


def test_a_configuration_that_cannot_be_used_is_a_sentence_of_any_command(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[server]\nport = 'x'\n[memory\n")
    (tmp_path / "redis.toml").write_text(
        '[memory]\nbackend_type = "redis"\nredis_url = "redis://127.0.0.1:1"\n'
    )
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    calls = [
        [*words, *(["x"] * len(needed)), "--config", file]
        for words, needed in ALL.items()
        for file in ("bad.toml", "nosuch.toml", "binary.toml", "redis.toml", ".")
        if words not in {("keys", "hash"), ("persona", "edit"), ("diagnose",), ("logout",)}
    ]
    for outcome in walk(calls, tmp_path):
        well_said(outcome)
        assert outcome["code"] != 0 or "redis.toml" in outcome["arguments"], outcome  # type: ignore[operator]


def test_an_address_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    calls = [
        [*words, *(["x"] * len(needed)), "--url", url]
        for words, needed in ALL.items()
        for url in ("foo", "ftp://x", "http://127.0.0.1:1", "http://nowhere.invalid:1", "http://[::1")
        if words[0] in ("chain", "cache", "drain") or words in {("models", "list"), ("models", "test")}
    ]
    for outcome in walk(calls, tmp_path):
        well_said(outcome)
        assert outcome["code"] != 0, outcome


async def test_a_server_that_is_no_intellirouter_is_told(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        calls = [["models", "list", "--url", f"http://127.0.0.1:{port}"]]
        (outcome,) = await asyncio.to_thread(walk, calls, tmp_path)
    well_said(outcome)
    assert "something else than JSON" in str(outcome["printed"])


@pytest.mark.parametrize(
    ("editor", "words"), [("nosuch-editor", "cannot be started"), ("false", "ended with 1")]
)
def test_an_editor_that_fails_is_a_sentence(tmp_path: Path, editor: str, words: str) -> None:
    (outcome,) = walk([["persona", "edit", "support"]], tmp_path, EDITOR=editor)
    well_said(outcome)
    assert words in str(outcome["printed"])
    assert outcome["code"] == 2


def test_what_was_written_in_an_editor_is_kept_when_it_does_not_hold(tmp_path: Path) -> None:
    editor = "sed -i s/^title/titel/"
    (outcome,) = walk([["persona", "edit", "support"]], tmp_path, EDITOR=editor)
    well_said(outcome)
    printed = str(outcome["printed"])
    kept = re.search(r"What you wrote is kept: `intellirouter persona import (\S+)`", printed)
    assert kept, printed
    file = Path(kept[1])
    assert file.read_text().startswith("+++\ntitel = ")
    file.write_text(file.read_text().replace("titel", "title"))
    (outcome,) = walk([["persona", "import", str(file)]], tmp_path)
    assert "support: version 1" in str(outcome["printed"])
    shutil.rmtree(file.parent)


def test_an_earlier_version_of_a_persona_is_brought_back_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "clerk.md"
    for text in ("One.", "Two."):
        file.write_text(text)
        walk([["persona", "import", str(file)]], tmp_path)
    edited, shown = walk(
        [["persona", "edit", "clerk@1"], ["persona", "show", "clerk"]], tmp_path, EDITOR="true"
    )
    assert "clerk: version 3" in str(edited["printed"])
    assert "One." in str(shown["printed"])
    (again,) = walk([["persona", "edit", "clerk"]], tmp_path, EDITOR="true")
    assert "unchanged" in str(again["printed"])


def test_what_nobody_foresaw_is_a_sentence_too_and_shows_no_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> None:
        secret = "planted-value"  # noqa: F841  a traceback with locals would show it
        raise ExceptionGroup("group", [RuntimeError("it broke")])

    try:
        fails()
    except Exception as error:  # noqa: BLE001
        assert told(error, "keys") == UNFORESEEN
    printed = capsys.readouterr().err
    assert "RuntimeError: it broke" in printed
    assert "planted" not in printed
    assert "Traceback" not in printed


def test_run_is_the_first_command_of_the_help() -> None:
    assert next(iter(COMMANDS)) == "run"
    assert isinstance(build(None), typer.Typer)
    assert all(len(entry.summary) <= 80 - 20 for entry in COMMANDS.values()), "cut at 80 columns"
