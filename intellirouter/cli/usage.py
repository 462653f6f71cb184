"""`intellirouter usage`: what was used, by whom and of what."""

from __future__ import annotations

import importlib
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.record_options import (
    DaysOption,
    JsonOption,
    KeyOption,
    ModelOption,
    ProviderOption,
    TagOption,
    TeamOption,
    UserOption,
    dollars,
    duration,
    query,
)
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once

GROUPS = "model, provider, key, team, user, tag, session, tenant, role, endpoint, day, hour"


def command(
    by: Annotated[str, typer.Option(help=f"{GROUPS}.")] = "model",
    days: DaysOption = 1,
    model: ModelOption = None,
    provider: ProviderOption = None,
    key: KeyOption = None,
    team: TeamOption = None,
    user: UserOption = None,
    tag: TagOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Groups to show, the dearest first.")
    ] = 30,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    recount: Annotated[
        bool,
        typer.Option(
            "--recount", help="Make the sums of this machine's record anew from its rows. The node may run."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Requests, errors, tokens, cost and times of the last days, by group."""
    if recount:
        # the record with its stores is for who reads it here
        importlib.import_module("intellirouter.cli.usage_recount").recount(config, as_json=as_json)
        return
    path = query(
        "/admin/usage",
        by=by,
        days=days,
        model=model,
        provider=provider,
        key=key,
        team=team,
        user=user,
        tag=tag,
    )
    answer, _ = ask_once(url, api_key, "GET", path, config=config)
    if as_json:
        typer.echo(msgspec.json.encode(answer))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(
        f"{by} (UTC)" if by in ("day", "hour") else by, overflow="ellipsis", no_wrap=True, max_width=22
    )
    for column in ("requests", "errors", "tokens", "$", "saved $", "p50", "p95"):
        table.add_column(column, justify="right", no_wrap=True)
    groups = answer["data"][:limit]
    for name, group in (*((group[by], group) for group in groups), ("in all", answer["total"])):
        style = "bold" if group is answer["total"] else ""
        table.add_row(
            *cells(
                name,
                f"{group['requests']:,}",
                f"{group['errors']:,}",
                f"{group['input_tokens'] + group['output_tokens']:,}",
                dollars(group["cost_usd"]),
                dollars(group["saved_usd"]),
                duration(group["p50"]),
                duration(group["p95"]),
            ),
            style=style,
        )
    console = Console()
    console.print(table)
    if by == "tag" and groups:
        console.print("A request with several tags counts under each of them.", style="dim")
    if len(answer["data"]) > limit:
        console.print(f"{len(answer['data']) - limit} more: --limit or --json.", style="dim")
