"""`intellirouter chain hooks`: what was and was not delivered to the services that are told of runs."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.chain_server import JsonOption, UrlOption
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.server_client import ApiKeyOption, ask_once
from intellirouter.errors import InvalidRequest

hooks = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What hooks were told, and what was given up."
)
app = typer.Typer(rich_markup_mode=None)
app.add_typer(hooks, name="hooks")


@hooks.command()
def ls(
    status: Annotated[str | None, typer.Option(help="pending, delivered or dead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List deliveries, the newest first."""
    only = f"&status={quote(status, safe='')}" if status else ""
    found: Any
    found, _ = ask_once(
        url, api_key, "GET", f"/v1/hooks?limit={limit}{only}", None, role="ChainEngine", config=config
    )
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    table = Table(
        Column("delivery", no_wrap=True), "hook", "status", "tried", "last error", box=None, pad_edge=False
    )
    for each in found["data"]:
        table.add_row(
            *cells(each["id"], each["hook"], each["status"], str(each["attempts"]), each["error"] or "")
        )
    Console().print(table)


@hooks.command()
def retry(
    delivery: Annotated[str | None, typer.Argument(help="The id of a delivery that was given up.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every one that was given up.")] = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Try again what was given up."""
    if (delivery is None) == (not every):
        raise InvalidRequest("Name one delivery, or give --all.", param="delivery")
    path = f"/v1/hooks/{'all' if every else quote(delivery or '', safe='')}/retry"
    done: Any
    done, _ = ask_once(url, api_key, "POST", path, {}, role="ChainEngine", config=config)
    typer.echo(f"{done['retried']} will be tried again.")
