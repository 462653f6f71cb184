"""`intellirouter requests`: the record of requests, looked at from a terminal."""

from __future__ import annotations

import asyncio
import importlib
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.record_options import (
    JsonOption,
    KeyOption,
    ModelOption,
    ProviderOption,
    SessionOption,
    StatusOption,
    TagOption,
    TeamOption,
    UserOption,
    dollars,
    duration,
    query,
)
from intellirouter.cli.server_client import (
    ApiKeyOption,
    UrlOption,
    ask_once,
)

COLUMNS = ("time", "status", "model", "key", "took", "tokens", "$", "id")


def command(
    request: Annotated[str | None, typer.Argument(help="Show this one, whole: its id or request id.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones as they come.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    status: StatusOption = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
    key: KeyOption = None,
    team: TeamOption = None,
    user: UserOption = None,
    tag: TagOption = None,
    session: SessionOption = None,
    text: Annotated[str | None, typer.Option(help="With these words in content or error.")] = None,
    since: Annotated[str | None, typer.Option(help="15m, 2h, 7d, 2026-11-20 or RFC 3339.")] = None,
    min_cost: Annotated[float | None, typer.Option(min=0, help="In US dollars.")] = None,
    min_latency: Annotated[float | None, typer.Option(min=0, help="In seconds.")] = None,
    models_only: Annotated[
        bool, typer.Option("--models-only", help="Leave out what asked no model.")
    ] = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The last requests, the newest at the bottom. With --json one object a line."""
    if request is not None:
        answer, _ = ask_once(url, api_key, "GET", f"/admin/requests/{request}", config=config)
        typer.echo(msgspec.json.format(msgspec.json.encode(answer)))
        return
    filters: dict[str, object] = {
        "status": status, "model": model, "provider": provider, "key": key, "team": team, "user": user, "tag": tag,
        "session": session, "text": text, "from": since, "min_cost": min_cost, "min_latency": min_latency,
        "models_only": "1" if models_only else None,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None and len(rows) < limit:  # a page that took long ends short
        page = query("/admin/requests", limit=limit - len(rows), cursor=after or None, **filters)
        answer, _ = ask_once(url, api_key, "GET", page, config=config)
        rows, after = rows + answer["data"], answer["next"]
    rows.reverse()
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row))
    elif rows or not follow:
        Console().print(_table(rows))
    if follow:
        last = rows[-1]["id"] if rows else None
        # the client that streams is for who follows
        follower = importlib.import_module("intellirouter.cli.requests_follow").follow
        path = query("/admin/requests/stream", **filters)
        asyncio.run(follower(url, api_key, config, path, last, lambda row: _print(row, as_json)))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        right = column in ("took", "tokens", "$")
        table.add_column(column, overflow="ellipsis", no_wrap=True, justify="right" if right else "left")
    for row in rows:
        table.add_row(*cells(*_cells(row)), style="red" if row["status"] >= 400 or row["error"] else "")
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    tokens = "" if row["input_tokens"] is None else f"{row['input_tokens']}+{row['output_tokens']}"
    what = row["model"] or row["endpoint"]
    return [
        row["time"][11:19],
        f"{row['status']}{'!' if row['error'] and row['status'] < 400 else ''}",
        what[:24],
        row["key"][:12],
        duration(row["seconds"]),
        tokens,
        dollars(row["cost_usd"]),
        row["id"],
    ]


def _print(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(row))
        return
    time, status, model, key, took, tokens, usd, row_id = _cells(row)
    typer.echo(f"{time} {status:4} {model:24} {key:12} {took:>7} {tokens:>11} {usd:>8} {row_id}")
