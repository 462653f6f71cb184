"""`intellirouter chain edge`: what an edge has not forwarded yet, and how edges do at their centre."""

from __future__ import annotations

from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.chain_server import JsonOption, UrlOption
from intellirouter.cli.chain_words import when, when_shortly
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.server_client import ApiKeyOption, ask_once
from intellirouter.counts import counted

edge = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Nodes that work alone and forward their runs."
)
app = typer.Typer(rich_markup_mode=None)
app.add_typer(edge, name="edge")


@edge.command()
def status(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """At an edge: what waits for the centre. At a centre: its edges. Exit code 1 when the centre does not answer or runs or rows were lost."""
    found: Any
    found, _ = ask_once(url, api_key, "GET", "/v1/edges", None, role="ChainEngine", config=config)
    centre = found["centre"]
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        if centre is not None:
            _centre(centre)
        if found["data"]:
            _edges(found["data"])
        if centre is None and not found["data"]:
            typer.echo("This node forwards to no centre and has no edges ([chain_engine] centre, edges).")
    lost = centre is not None and (centre["given_up"] or (centre.get("records") or {}).get("given_up"))
    if centre is not None and (not _takes(centre) or lost):
        raise typer.Exit(1)


@edge.command()
def resend(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Forward everything once more, and now what the centre refused: after it was restored from a backup, or lets an edge bring more. What it has is not there twice."""
    done: Any
    done, _ = ask_once(url, api_key, "POST", "/v1/edges/resend", {}, role="ChainEngine", config=config)
    typer.echo(f"{done['waiting']} will be forwarded again.")


def _centre(centre: dict[str, Any]) -> None:
    how = "answers"
    if not _takes(centre):
        how = f"{'takes nothing' if centre['answers'] else 'does not answer'} since {when(centre['away_since'])}"
    typer.echo(f"centre     {centre['url']} {how}")
    if centre["trouble"]:
        typer.echo(f"why        {centre['trouble']}")
    since = f", the oldest since {when(centre['oldest_at'])}" if centre["waiting"] else ""
    typer.echo(f"waiting    {centre['waiting']}{since}")
    if centre["refused"]:
        typer.echo(f"refused    {centre['refused']} of them; the last: {centre['last_refusal']}")
    if centre["given_up"]:
        typer.echo(f"lost       {centre['given_up']} were deleted before the centre had them")
    if (rows := centre.get("records")) is not None:
        _rows(rows)


def _takes(centre: dict[str, Any]) -> bool:
    return bool(centre.get("takes", centre["answers"]))  # a node of before knows one of the two


def _rows(rows: dict[str, Any]) -> None:
    since = f", the oldest of {when(rows['oldest_at'])}" if rows["waiting"] else ""
    typer.echo(f"records    {counted(rows['waiting'], 'row waits', 'rows wait')}{since}")
    if rows["trouble"]:
        typer.echo(f"  why      {rows['trouble']}")
    if rows["refused"]:
        typer.echo(f"  refused  {rows['refused']}; the last: {rows['last_refusal']}")
    if rows["given_up"]:
        typer.echo(f"  lost     {rows['given_up']} were deleted before the centre had them")


def _edges(edges: list[dict[str, Any]]) -> None:
    kept = Column("edge", no_wrap=True), "tenants", Column("heard", no_wrap=True)
    table = Table(*kept, "taken", "refused", "rows", "last refusal", box=None, pad_edge=False)
    for each in edges:
        name = each["id"] if each["configured"] else f"{each['id']} (not configured)"
        heard = when_shortly(each["heard_at"]) if each["heard_at"] is not None else "never"
        tenants, why = ", ".join(each["tenants"]), each["last_refusal"] or each.get("last_row_refusal") or ""
        counts = each["taken"], each["refused"] + each.get("rows_refused", 0), each.get("rows_taken", 0)
        table.add_row(*cells(name, tenants, heard, *map(str, counts), why))
    Console().print(table)
