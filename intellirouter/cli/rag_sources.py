"""`intellirouter rag sources`: the places that collections follow (`[[rag.sources]]`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells, none_of
from intellirouter.cli.rag_node import DEFAULT_TENANT, JsonOption, TenantOption, UrlOption, Where, on_service
from intellirouter.cli.server_client import ApiKeyOption
from intellirouter.counts import counted

MOST_ERRORS = 20
"""That are shown one by one."""
NameArgument = Annotated[str, typer.Argument(help="The source, as [[rag.sources]] names it.")]
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The places that collections follow.")


@app.command("ls")
def ls(
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """The sources, and how the last look at each went."""
    rows = on_service(Where(config, tenant, url, api_key), lambda service: service.sources_of(tenant))
    if as_json:
        typer.echo(msgspec.json.encode(rows).decode())
        return
    if none_of(rows, "No source: [[rag.sources]] of the configuration names them."):
        return
    table = Table("source", "kind", "collection", "documents", "errors", "last look", "outcome")
    for row in rows:
        last = row["last"]
        when = (
            datetime.fromtimestamp(last["started"]).astimezone().strftime("%d %b %H:%M") if last else "never"
        )
        outcome = "running" if row["running"] else last["outcome"] if last else ""
        counts = row["documents"], row.get("faulty", 0)  # an older node does not say
        table.add_row(*cells(row["name"], row["kind"], row["collection"], *counts, when, outcome))
    Console().print(table)


@app.command("show")
def show(
    name: NameArgument,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """One source, with what of it could not be listed, fetched or read."""
    row = on_service(Where(config, tenant, url, api_key), lambda service: service.source(tenant, name))
    _told(row, as_json=as_json)


@app.command("sync")
def sync(
    name: NameArgument,
    anew: Annotated[bool, typer.Option("--anew", help="Fetch what is unchanged as well.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what is gone, however much that is.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Look at a source now: read what is new or changed there, remove what is gone. Exit code 1 when not all of it went well."""
    where = Where(config, tenant, url, api_key)
    row = on_service(where, lambda service: service.sync_source(tenant, name, anew=anew, remove=remove))
    _told(row, as_json=as_json)
    if row["last"]["outcome"] != "ok":
        raise typer.Exit(1)


def _told(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(row).decode())
        return
    last, errors = row["last"], row["errors"]
    if last is None:
        typer.echo(f"{row['name']} was never looked at.")
        return
    told = ("ready", "unchanged", "removed", "failed", "held")
    counts = ", ".join(f"{last[one]} {one}" for one in told if last[one])
    faulty = row.get("faulty", 0)  # an older node does not say
    unread = f", {faulty} could not be fetched or read" if faulty else ""
    typer.echo(
        f"{last['outcome']}: {counts or 'nothing to do'}; {counted(row['documents'], 'document')} in {row['collection']}{unread}"
    )
    if last["error"]:
        typer.echo(last["error"])
    for fault in errors[:MOST_ERRORS]:
        typer.echo(f"  {fault['name']}: {fault['error']}")
    if len(errors) > MOST_ERRORS:
        typer.echo(f"  … and {len(errors) - MOST_ERRORS} more (--json has them all)")
