"""`intellirouter chain approvals` and `link`: runs that wait for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.chain_server import JsonOption, RunArgument, UrlOption
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells, none_of
from intellirouter.cli.server_client import ApiKeyOption, ask_once

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def approvals(
    assignee: Annotated[str | None, typer.Option(help="Only what this one is asked.")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs that wait for a signal, the longest wait first."""
    only = f"?assignee={quote(assignee, safe='')}" if assignee else ""
    found: Any
    found, _ = ask_once(url, api_key, "GET", f"/v1/approvals{only}", role="ChainEngine", config=config)
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    if none_of(found["data"], "No run waits for anybody."):
        return
    table = Table(Column("run", no_wrap=True), "signal", "asks", "of", "since", box=None, pad_edge=False)
    for each in found["data"]:
        since = datetime.fromtimestamp(each["since"]).astimezone().strftime("%m-%d %H:%M")
        of = f"{each['assignee'] or ''}{' (escalated)' if each['escalated'] else ''}"
        table.add_row(*cells(each["run"], each["signal"], each["title"], of, since))
    Console().print(table)


@app.command()
def link(
    run_id: RunArgument,
    name: Annotated[str, typer.Argument(help="The signal a step waits for.")],
    valid_for: Annotated[str, typer.Option(help="How long, as 2h or 7d.")] = "24h",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Print an address whose page lets whoever has it answer."""
    path = f"/v1/runs/{quote(run_id, safe='')}/signals/{quote(name, safe='')}/link"
    made: Any
    made, _ = ask_once(
        url, api_key, "POST", path, {"valid_for": valid_for}, role="ChainEngine", config=config
    )
    typer.echo(made["url"])
