"""`intellirouter chain versions|diff|rollback|rollout`: what a stored chain said before, and which version runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.chain_server import JsonOption, NameArgument, UrlOption
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.server_client import ApiKeyOption, ask_once
from intellirouter.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def versions(
    name: NameArgument,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a chain, the newest first, and how the last runs ended of those that run."""
    found = _ask(url, api_key, config, "GET", _path(name, "versions"))
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    table = Table("revision", "version", "state", "share", "stored", "last runs")
    for each in found["data"]:
        runs = ", ".join(f"{count} {status}" for status, count in sorted(each.get("runs", {}).items()))
        share = f"{each['share']:g} %" if each["share"] else ""
        stored = datetime.fromtimestamp(each["created_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(*cells(each["revision"], each["version"], each["state"], share, stored, runs))
    Console().print(table)


@app.command()
def diff(
    name: NameArgument,
    old: Annotated[int | None, typer.Argument(help="A revision; absent: the one before.")] = None,
    new: Annotated[int | None, typer.Argument(help="A revision; absent: the one that runs.")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two versions of a chain."""
    query = "&".join(f"{key}={value}" for key, value in (("from", old), ("to", new)) if value is not None)
    found = _ask(url, api_key, config, "GET", _path(name, "diff") + (f"?{query}" if query else ""))
    if as_json:
        typer.echo(msgspec.json.encode(found["changes"]))
        return
    typer.echo(found["text"] or f"Revisions {found['from']} and {found['to']} say the same.")


@app.command()
def rollback(
    name: NameArgument,
    revision: Annotated[int, typer.Argument(help="The version that is to run again, from `versions`.")],
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a version run again; runs under way go on with what they were started with."""
    _ask(url, api_key, config, "POST", _path(name, "rollback"), {"revision": revision})
    typer.echo(f"Revision {revision} of '{name}' runs.")


@app.command()
def rollout(
    name: NameArgument,
    revision: Annotated[int | None, typer.Argument(help="The version to try, from `versions`.")] = None,
    share: Annotated[
        float | None, typer.Option(help="Percent of the runs that try it; 100: all from now on.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Try nothing any more.")] = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a share of the runs try a version."""
    path = _path(name, "rollout")
    if stop:
        _ask(url, api_key, config, "DELETE", path)
        typer.echo(f"Every run of '{name}' has the version that runs.")
        return
    if revision is None or share is None:
        raise InvalidRequest("Give a revision and --share, or --stop.", param="share")
    _ask(url, api_key, config, "PUT", path, {"revision": revision, "share": share})
    typer.echo(f"{share:g} % of the runs of '{name}' have revision {revision}.")


def _path(name: str, what: str) -> str:
    return f"/v1/chains/{quote(name, safe='')}/{what}"


def _ask(
    url: str | None, api_key: str | None, config: Any, method: str, path: str, body: object | None = None
) -> Any:
    return ask_once(url, api_key, method, path, body, role="ChainEngine", config=config)[0]
