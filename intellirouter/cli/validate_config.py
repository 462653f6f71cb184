"""`intellirouter validate-config`: check the configuration without starting."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from intellirouter.app.roles import ROLES, select
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption, RoleOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.cli.plain import warn
from intellirouter.config.load import Loaded
from intellirouter.config.shown import flatten
from intellirouter.errors import ConfigError


def command(
    config: ConfigOption = None,
    unit: UnitOption = None,
    role: RoleOption = "All",
    show: Annotated[bool, typer.Option("--show", help="Print every value and where it comes from.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Check the configuration without starting. Exit code 0 when it holds, 78 when it does not."""
    entries = select(role) if role.lower() != "all" else ROLES
    try:
        loaded = configured(config, entries[0].file, unit).startable()
    except ConfigError as error:
        if as_json:
            problems = error.details.get("problems") or [error.message]
            typer.echo(msgspec.json.encode({"valid": False, "problems": problems}))
            raise typer.Exit(error.exit_code) from error
        raise
    if as_json:
        typer.echo(msgspec.json.encode(_report(loaded, show)))
    else:
        _print(loaded, show)
    if strict and loaded.warnings:
        raise typer.Exit(ConfigError.exit_code)


def _report(loaded: Loaded, show: bool) -> dict[str, Any]:
    report: dict[str, Any] = {
        "valid": True,
        "file": str(loaded.file) if loaded.file else None,
        "warnings": [str(problem) for problem in loaded.warnings],
    }
    if show:
        report["values"] = {
            path: {"value": value, "source": loaded.source_of(path)}
            for path, value in flatten(loaded.settings)
        }
    return report


def _written(value: object) -> str:
    """A value as a person would write it."""
    return "(not set)" if value is None else msgspec.json.encode(value).decode()


def _print(loaded: Loaded, show: bool) -> None:
    console = Console()
    if show:
        for path, value in flatten(loaded.settings):
            source = loaded.source_of(path)
            style = "dim" if source == "default" else ""
            console.print(Text(f"{path} = {_written(value)}  # {source}", style=style), soft_wrap=True)
    for problem in loaded.warnings:
        warn(console, problem)
    name = str(loaded.file) if loaded.file else "built-in defaults and the environment"
    console.print(f"{name}: valid", highlight=False, markup=False, soft_wrap=True)
