"""`intellirouter persona`: the personas of this machine's directory."""

from __future__ import annotations

import asyncio
import json as json_module
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells, warn
from intellirouter.config.env import editor
from intellirouter.errors import InvalidRequest
from intellirouter.memory.open import open_state
from intellirouter.peers.documents import persona_document
from intellirouter.roles.persona_layer.api import summary
from intellirouter.roles.persona_layer.library import SHIPPED, Library
from intellirouter.roles.persona_layer.persona import Variable
from intellirouter.roles.persona_layer.resolver import resolve
from intellirouter.roles.router.pipeline.outcomes import Outcomes
from intellirouter.telemetry import logs

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Name = Annotated[str, typer.Argument(help="The persona's name.")]


def _library(config: Path | None) -> Library:
    logs.configure(level="warning", json=False)  # standard output is the command's own
    settings = configured(config, "persona-layer.toml").settings
    library = Library(settings.persona_layer.personas_path or settings.paths.data_dir / "personas")
    library.open()
    return library


def _print_json(body: object) -> None:
    typer.echo(msgspec.json.encode(body))


@app.command("list")
def list_personas(config: ConfigOption = None, json: Json = False) -> None:
    """List every persona, and files that cannot be used."""
    library = _library(config)
    found = sorted((summary(entry) for entry in library.entries()), key=lambda each: str(each["id"]))
    if json:
        _print_json(found)
        return
    table = Table("name", "version", "title", "variables", "tags")
    for each in found:
        version = "ships" if each["builtin"] else str(each["version"])
        names = (", ".join(each["variables"]), ", ".join(each["tags"]))
        table.add_row(*cells(each["id"], version, each["title"], *names))
    console = Console()
    console.print(table)
    for name, problem in library.problems.items():
        warn(console, f"{name}: {problem}", "problem")


@app.command()
def show(name: Name, config: ConfigOption = None, json: Json = False) -> None:
    """Print the persona's file."""
    entry = _library(config).get(name)
    if json:
        _print_json({**summary(entry), "source": entry.source})
    else:
        typer.echo(entry.source.rstrip())


@app.command()
def render(
    name: Name,
    var: Annotated[
        list[str] | None, typer.Option("--var", "-v", help="A variable: name=value. Repeatable.")
    ] = None,
    config: ConfigOption = None,
    json: Json = False,
) -> None:
    """Print exactly what will be sent for these variables."""
    library = _library(config)
    entry = library.get(name)
    resolved = persona_document(resolve(entry, _variables(var or [], entry.whole.variables), library.parts))
    if json:
        _print_json(resolved)
        return
    console = Console()
    for message in resolved["messages"]:
        console.print(f"[bold]{message['role']}[/]")
        console.print(message["content"], highlight=False, markup=False, soft_wrap=True)
        console.print()


def _variables(given: list[str], declared: Mapping[str, Variable]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise InvalidRequest(f"'{item[:50]}' is not name=value.", param="--var")
        plain = name not in declared or declared[name].type == "string"
        values[name] = value if plain else _read(value)
    return values


def _read(value: str) -> Any:
    """A number, boolean or list as JSON; the resolver says what is wrong with anything else."""
    try:
        return json_module.loads(value)
    except ValueError:
        return value


@app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(help="A .toml or .md file; its name is the persona's.", exists=True)
    ],
    config: ConfigOption = None,
) -> None:
    """Take a persona's file into the directory."""
    text = file.read_text(encoding="utf-8")
    entry = _library(config).write(file.stem, text, file.suffix, author="command line")
    typer.echo(f"{entry.own.name}: version {entry.version}")


@app.command()
def edit(name: Name, config: ConfigOption = None) -> None:
    """Open the persona in your editor and keep what you save as a new version; NAME@2 opens that version, to bring it back."""
    library = _library(config)
    entry = library.get(name)
    name = entry.own.name
    file = Path(tempfile.mkdtemp()) / f"{name}{entry.extension}"
    theirs = False
    try:
        file.write_text(entry.source, encoding="utf-8")
        _open_editor(file)
        theirs = True  # what somebody wrote is not thrown away for a mistake in it
        text = file.read_text(encoding="utf-8")
        if (
            text != library.get(name).source
        ):  # also where an earlier version is saved as it was: it comes back
            entry = library.write(name, text, entry.extension, author="command line")
            typer.echo(f"{name}: version {entry.version}")
        else:
            typer.echo("unchanged")
        theirs = False
    finally:
        if theirs:
            typer.echo(
                f"What you wrote is kept: `intellirouter persona import {file}`, when it is mended.", err=True
            )
        else:
            shutil.rmtree(file.parent)


def _open_editor(file: Path) -> None:
    """Raises `InvalidRequest` where the editor cannot be started, or gives up."""
    words = shlex.split(editor())
    advice = "$EDITOR names another; `persona show` and `persona import` need none."
    try:
        done = subprocess.run([*words, str(file)], check=False)  # noqa: S603  the user's own editor
    except OSError as cause:
        raise InvalidRequest(
            f"The editor '{words[0] if words else ''}' cannot be started ({cause.strerror}): {advice}"
        ) from cause
    if done.returncode:
        raise InvalidRequest(f"The editor '{words[0]}' ended with {done.returncode}: nothing was kept.")


@app.command()
def outcomes(name: Name, config: ConfigOption = None, json: Json = False) -> None:
    """Compare the versions of a persona by what came of their answers, as the Routers counted it."""
    settings = configured(config, "router.toml").settings

    async def read() -> list[dict[str, Any]]:
        async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
            return await Outcomes(store).read(name)

    rows = asyncio.run(read())
    if json:
        _print_json(rows)
        return
    if not rows:
        typer.echo(f"No request has asked for the persona '{name}' yet.")
        return
    table = Table("version", "answers", "errors", "refused", "rules broken", "seconds", "tokens", "USD")
    for row in rows:
        answers = max(row["answers"], 1)
        broken = ", ".join(f"{rule} {row[rule]}" for rule in ("topic", "length", "schema") if row[rule])
        table.add_row(
            "ships" if row["version"] == SHIPPED else str(row["version"]),
            *(str(row[count]) for count in ("answers", "errors", "refused")),
            broken,
            f"{row['seconds'] / answers:.2f}",
            f"{row['output_tokens'] / answers:.0f}",
            f"{row['usd'] / answers:.6f}",
        )
    console = Console()
    console.print(table)
    console.print("Seconds, tokens and US dollars are means of an answer.", highlight=False)
