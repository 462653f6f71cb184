"""Every command, its arguments and options, from its own help: as Markdown (config/COMMANDS.md) and as a manual page (roff)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import typer
from typer.main import get_command

PROGRAM = "intellirouter"


@dataclass(frozen=True, slots=True)
class Page:
    """One command: its words, what it does, how it is called, and (names, meaning) of arguments and options."""

    words: tuple[str, ...]
    text: str
    usage: str
    rows: list[tuple[str, str]]


def pages(build: Callable[[str | None], typer.Typer], names: list[str]) -> Iterator[Page]:
    """Of every command, those of a group behind it."""
    for name in names:
        command: Any = get_command(build(name))
        context = typer.Context(command, info_name=PROGRAM)
        yield from _of(command.get_command(context, name), (name,), context)


def _of(command: Any, words: tuple[str, ...], parent: Any) -> Iterator[Page]:
    context: Any = typer.Context(command, info_name=words[-1], parent=parent)
    group = hasattr(command, "list_commands")
    if not group or command.invoke_without_command:
        yield Page(
            words,
            " ".join((command.help or "").split()) if group else _plain(command.help),
            " ".join(command.collect_usage_pieces(context)),
            [*_rows(command, context)],
        )
    if group:
        for name in command.list_commands(context):
            yield from _of(command.get_command(context, name), (*words, name), context)


def _plain(text: str | None) -> str:
    """Paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", (text or "").strip()))


def _rows(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is not None and record[0] != "--help":
            yield " ".join(record[0].split()), " ".join(record[1].split())


def markdown(found: list[Page]) -> str:
    """The command reference."""
    groups = list(dict.fromkeys(page.words[0] for page in found))
    parts = [
        "# Commands\n\nEach says the same with `--help`. Made by `python -m scripts.reference` from the commands themselves.",
        "\n".join(f"- [{name}](#{name})" for name in groups),
    ]
    for name in groups:
        parts.append(f"## {name}")
        for page in (page for page in found if page.words[0] == name):
            parts.append(f"**`{' '.join((PROGRAM, *page.words, page.usage)).strip()}`**")
            parts.append(_cell(page.text))
            if page.rows:
                rows = "\n".join(
                    f"| `{names.replace('|', chr(92) + '|')}` | {_cell(text)} |" for names, text in page.rows
                )
                parts.append(f"| | |\n|---|---|\n{rows}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


def manual(found: list[Page], version: str) -> str:
    """The manual page, in the man macros (man(7))."""
    lines = [
        f'.TH INTELLIROUTER 1 "" "IntelliRouter {version}" "User Commands"',
        ".SH NAME",
        "intellirouter \\- a self\\-hosted LLM platform in one command",
        ".SH SYNOPSIS",
        ".B intellirouter",
        "[\\fB\\-\\-version\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH COMMANDS",
    ]
    for page in found:
        lines += [f".SS {_roff(' '.join((*page.words, page.usage)))}", *_roff(page.text).split("\n\n")]
        for names, text in page.rows:
            lines += [".TP", f".B {_roff(names)}", _roff(text) or "\\&"]
    lines += [
        ".SH ENVIRONMENT",
        ".TP\n.B INTELLIROUTER_CONFIG\nThe configuration file.",
        ".TP\n.B INTELLIROUTER_URL\nThe Router that commands ask.",
        ".TP\n.B INTELLIROUTER_API_KEY\nThe key they give.",
        ".TP\n.B INTELLIROUTER__SECTION__KEY\nSets a key of the configuration.",
    ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text that no macro is made of."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))
