"""`intellirouter guard`: the guards of a configuration, and what they make of a text. Needs no running node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest
from intellirouter.inference.guarding.rules import built
from intellirouter.inference.guarding.trying import every_kind, tried

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
MAX_BYTES = 10_000_000
_SHOWN = 60
"""Characters of a finding that are shown."""


@app.command("ls")
def listed(as_json: Json = False, config: ConfigOption = None) -> None:
    """Every guard, in the order in which they act."""
    sections = configured(config, "router.toml").settings.guards
    if as_json:
        rows = [section.model_dump(mode="json", exclude={"secret", "api_key"}) for section in sections]
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)))
        return
    if not sections:
        typer.echo("No guards are configured. The guide on guards shows how: config/GUARDS.md.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("guard", "kind", "on", "action", "for"):
        table.add_column(column, overflow="fold")
    for section in sections:
        scope = [*section.models, *section.keys, *section.teams, *section.personas]
        whose = ", ".join(scope) or ("everybody" if section.default else "who names it")
        action = section.action if section.mode == "enforce" else f"{section.action} (monitor)"
        table.add_row(*cells(section.name, section.kind, ", ".join(section.on), action, whose))
    Console(highlight=False, markup=False).print(table)


@app.command()
def test(
    text: Annotated[str, typer.Argument(help="A text, a file's path, or - for what is piped in.")],
    as_json: Json = False,
    config: ConfigOption = None,
) -> None:
    """What the guards find in a text, and what a model would be shown.

    Where none is configured, every built-in kind is looked for. Ends with 1 where the text would be blocked.
    """
    sections = configured(config, "router.toml").settings.guards
    guards = [built(section) for section in sections] or every_kind()
    said = _read(text)
    result = tried(guards, said)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(result)))
    else:
        _show(result, said)
    if result["blocked_by"] is not None:
        raise typer.Exit(1)


def _read(text: str) -> str:
    if text == "-":
        return sys.stdin.read(MAX_BYTES)
    path = Path(text) if len(text) < 4096 and "\0" not in text and "\n" not in text else None
    if path is None or not path.is_file():
        return text
    if path.stat().st_size > MAX_BYTES:
        raise InvalidRequest(f"{path} has more than {MAX_BYTES:,} bytes.")
    return path.read_text(encoding="utf-8", errors="replace")


def _show(result: dict[str, Any], text: str) -> None:
    console = Console(highlight=False, markup=False)
    findings = result["findings"]
    if not findings:
        console.print("Nothing was found.")
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("guard", "kind", "line", "what", "action"):
            table.add_column(column, overflow="fold")
        for one in findings:
            what = text[one["start"] : one["end"]].replace("\n", " ")
            line = text.count("\n", 0, one["start"]) + 1
            shown = what if len(what) <= _SHOWN else f"{what[:_SHOWN]}…"
            table.add_row(
                *cells(
                    one["guard"],
                    one["kind"],
                    line,
                    ascii(shown)[1:-1] if not shown.isprintable() else shown,
                    one["action"],
                )
            )
        console.print(table)
    if result["blocked_by"] is not None:
        console.print(f"\nBlocked by '{result['blocked_by']}'.")
    elif result["sent"] != text:
        console.print(f"\nA model is shown:\n{result['sent']}")
    if result["route_to"] is not None:
        console.print(f"\nIt goes to {result['route_to']}.")
    if result["asked_elsewhere"]:
        names = ", ".join(result["asked_elsewhere"])
        console.print(
            f"\n{counted(len(result['asked_elsewhere']), 'guard')} that ask elsewhere were not asked: {names}."
        )
