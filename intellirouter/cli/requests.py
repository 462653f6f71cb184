"""`intellirouter requests`: the record of requests, looked at from a terminal."""

from __future__ import annotations

import asyncio
import importlib
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import fitting, none_of, print_fitting
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
WIDTHS = (8, 6, 24, 12, 7, 11, 8, 19)
"""Of lines that come one by one."""
_LEAVES = ("key", "tokens")
"""What makes room on a narrow terminal; the id never does: `requests ID` takes it."""
_SHORTEST = 16
"""Characters of a model's name that stay."""


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
        answer, _ = ask_once(url, api_key, "GET", f"/admin/requests/{quote(request, safe='')}", config=config)
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
    elif (rows or not follow) and not none_of(
        rows, "No such request." if any(filters.values()) else "No request yet."
    ):
        print_fitting(
            COLUMNS,
            [_cells(row) for row in rows],
            "model",
            least=_SHORTEST,
            leaves=_LEAVES,
            left=("time", "status", "model", "key", "id"),
            styles=["red" if _failed(row) else "" for row in rows],
        )
    if follow:
        last = rows[-1]["id"] if rows else "0"  # nothing was there: whatever comes is new
        # the client that streams is for who follows
        follower = importlib.import_module("intellirouter.cli.requests_follow").follow
        path = query("/admin/requests/stream", **filters)
        asyncio.run(follower(url, api_key, config, path, last, lambda row: _print(row, as_json)))


def _failed(row: dict[str, Any]) -> bool:
    return row["status"] >= 400 or bool(row["error"])


def _cells(row: dict[str, Any]) -> list[str]:
    tokens = "" if row["input_tokens"] is None else f"{row['input_tokens']}+{row['output_tokens']}"
    what = row["model"] or row["endpoint"]
    return [
        datetime.fromisoformat(row["time"]).astimezone().strftime("%H:%M:%S"),
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
    kept = fitting(COLUMNS, WIDTHS, "model", least=_SHORTEST, leaves=_LEAVES, gap=1)
    told = dict(zip(COLUMNS, _cells(row), strict=True))
    right = ("took", "tokens", "$")
    parts = (
        f"{told[name][:width]:{'>' if name in right else '<'}{width}}" if name != "id" else told[name]
        for name, width in kept.items()
    )
    typer.echo(" ".join(parts))
