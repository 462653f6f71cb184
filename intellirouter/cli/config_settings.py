"""`intellirouter config export|diff|apply|history|rollback`: settings made at run time, for all nodes at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomlkit
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once
from intellirouter.config.toml_text import parse
from intellirouter.errors import InvalidRequest

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
FileArgument = Annotated[Path, typer.Argument(help="TOML, in the form of the configuration file.")]
Note = Annotated[str, typer.Option(help="Why; it stands in the history.")]
PATH = "/admin/settings"


def export(
    version: Annotated[int | None, typer.Option(min=0, help="Another version than the one in force.")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Print what is set at run time as TOML, secrets masked: `apply` takes it back, and knows them still."""
    path = PATH if version is None else f"{PATH}/history/{version}"
    answer, _ = ask_once(url, api_key, "GET", path, config=config)
    typer.echo(f"# settings made at run time, version {answer['version']}")
    typer.echo(tomlkit.dumps(answer["settings"]), nl=False)


def diff(
    file: Annotated[Path | None, typer.Argument(help="TOML that would be applied.")] = None,
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """What is set at run time in place of what the file says; with FILE, what applying it would change."""
    if file is None:
        answer, _ = ask_once(url, api_key, "GET", PATH, config=config)
        changes = {row["key"]: [row["file"], row["now"]] for row in answer["in_force"]}
    else:
        body = {"settings": _read(file), "dry_run": True}
        answer, _ = ask_once(url, api_key, "PUT", PATH, body, config=config)
        changes = answer["changes"]
    _show(changes, as_json)


def apply(
    file: FileArgument,
    note: Note = "",
    merge: Annotated[bool, typer.Option("--merge", help="On top of what is set; else in its place.")] = False,
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Set on every node what FILE says, on top of their files. All of it holds, or nothing is changed."""
    body = {"settings": _read(file), "note": note}
    answer, _ = ask_once(url, api_key, "PATCH" if merge else "PUT", PATH, body, config=config)
    _applied(answer, as_json)


def history(
    as_json: Json = False, url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None
) -> None:
    """Every version: when, who, why, and how many keys it changed."""
    answer, _ = ask_once(url, api_key, "GET", f"{PATH}/history", config=config)
    if as_json:
        typer.echo(msgspec.json.encode(answer["data"]))
        return
    if not answer["data"]:
        typer.echo("Nothing was ever set at run time.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("VERSION", "WHEN (UTC)", "WHO", "KEYS", "NOTE"):
        table.add_column(column, overflow="fold")
    for row in answer["data"]:
        when = datetime.fromtimestamp(row["at"], UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(str(row["version"]), when, row["who"], str(len(row["changes"])), row["note"])
    Console(highlight=False, markup=False).print(table)


def rollback(
    version: Annotated[int, typer.Argument(min=0, help="Of the history; 0 is the file alone.")],
    note: Note = "",
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Set what a version set, as a new version."""
    body = {"version": version, "note": note}
    answer, _ = ask_once(url, api_key, "POST", f"{PATH}/rollback", body, config=config)
    _applied(answer, as_json)


def _read(file: Path) -> dict[str, Any]:
    try:
        raw, problems = parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})."
        ) from error
    if problems:
        told = "\n".join(f"{file}:{one.line}: {one.message} {one.advice}".rstrip() for one in problems)
        raise InvalidRequest(told)
    return raw


def _applied(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(answer))
        return
    typer.echo(f"Version {answer['version']} is in force, since {time.strftime('%H:%M:%S')}.")
    _show(answer["changes"], as_json=False)


def _show(changes: dict[str, list[Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(changes))
        return
    if not changes:
        typer.echo("No difference.")
    for key, (old, new) in changes.items():
        typer.echo(f"{key}\n  - {_plain(old)}\n  + {_plain(new)}")


def _plain(value: Any) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()
