"""`intellirouter db …`: the database of the chains' runs, made, brought to this version, and checked."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import msgspec
import typer

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def init(config: ConfigOption = None) -> None:
    """Make the database of the runs; one that is there is brought to this version."""
    _prepare(config, "is ready")


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the database of the runs to what this version needs; nothing that is kept is changed."""
    _prepare(config, "is as this version needs it")


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what the database of the runs lacks, and change nothing. Exit code 1 when it lacks something."""
    room, url = _room(config)
    problems: list[str] = room.lacking(url)
    if as_json:
        typer.echo(msgspec.json.encode({"database": _shown(url), "ready": not problems, "lacks": problems}))
    else:
        typer.echo("\n".join(problems) or f"{_shown(url)} is as this version needs it.")
    if problems:
        raise typer.Exit(1)


def _prepare(config: Any, words: str) -> None:
    room, url = _room(config)
    room.prepare(url)
    typer.echo(f"{_shown(url)} {words}.")


def _room(config: Any) -> tuple[Any, str]:
    settings = configured(config, "orchestrator.toml").settings
    # every table must be known, and dbos is imported for it
    importlib.import_module("intellirouter.roles.chain_engine.open")
    room: Any = importlib.import_module("intellirouter.roles.chain_engine.database")
    return room, room.url_of(settings.chain_engine, settings.paths.data_dir)


def _shown(url: str) -> str:
    """Where it is, without the password."""
    if url.startswith("sqlite:///"):
        return url.removeprefix("sqlite:///")
    head, _, rest = url.partition("://")
    return f"{head}://{rest.rpartition('@')[2].partition('?')[0]}"
