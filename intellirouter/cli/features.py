"""`intellirouter features`: switches of what decides and adds, on all nodes at once."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once

_WHOSE = {"keys": "a key", "teams": "a team"}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A feature, or `all`.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command("ls")
def listed(
    as_json: Json = False, url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None
) -> None:
    """Every feature, and the share of requests it is on for."""
    answer, _ = ask_once(url, api_key, "GET", "/admin/features", config=config)
    _show(answer, as_json)


@app.command()
def on(
    feature: Name = "all",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """On for every request."""
    _put(feature, {"on": True}, url, api_key, config)


@app.command()
def off(
    feature: Name = "all",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Off for every request: routing is what it was without it."""
    _put(feature, {"on": False}, url, api_key, config)


@app.command("set")
def share(
    feature: Name,
    share: Annotated[float, typer.Argument(min=0, max=1, help="Of requests, 0 to 1.")],
    key: Annotated[
        list[str] | None, typer.Option(help="Only for this key (its id); may be repeated.")
    ] = None,
    team: Annotated[list[str] | None, typer.Option(help="Only for this team; may be repeated.")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """On for a share of requests, or only for some keys and teams."""
    _put(feature, {"share": share, "keys": key or [], "teams": team or []}, url, api_key, config)


@app.command()
def reset(
    feature: Name = "all",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """As the configuration file has it."""
    answer, _ = ask_once(url, api_key, "DELETE", f"/admin/features/{quote(feature, safe='')}", config=config)
    _show(answer, as_json=False)


def _put(feature: str, body: dict[str, Any], url: str | None, api_key: str | None, config: Any) -> None:
    answer, _ = ask_once(
        url, api_key, "PUT", f"/admin/features/{quote(feature, safe='')}", body, config=config
    )
    _show(answer, as_json=False)
    for field, names in answer.get("unknown", {}).items():
        named = ", ".join(f"'{name}'" for name in names)
        typer.echo(f"warning: {named}: nobody here has {_WHOSE[field]} of that name yet", err=True)


def _show(answer: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer["data"])))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("feature", "on for", "keys and teams", "said by"):
        table.add_column(column)
    for row in answer["data"]:
        share = row["share"]
        state = "all" if share >= 1 else "none (off)" if share <= 0 else f"{share:.1%} of requests"
        table.add_row(
            row["feature"], state, ", ".join([*row["keys"], *row["teams"]]) or "everybody", row["from"]
        )
    Console(highlight=False, markup=False).print(table)
