"""`intellirouter cache`: the response cache of a running Router."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import (
    ApiKeyOption,
    UrlOption,
    ask_once,
)
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def stats(url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None) -> None:
    """Hits, misses and size, as JSON."""
    answer, _ = ask_once(url, api_key, "GET", "/admin/cache", config=config)
    typer.echo(msgspec.json.format(msgspec.json.encode(answer)))


@app.command()
def clear(url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None) -> None:
    """Forget every kept answer."""
    answer, _ = ask_once(url, api_key, "DELETE", "/admin/cache", config=config)
    typer.echo(f"{counted(answer['cleared'], 'answer')} forgotten.")


@app.command()
def warm(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A prompt, or a JSON body, a line.")
    ],
    model: Annotated[str, typer.Option(help="Asked for lines that name none.")] = "auto",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 4,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask every prompt of a file once, so that its answer is kept. Exit code 1 when some were not answered."""
    bodies = [
        _body(line, model, number) for number, line in enumerate(file.read_text().splitlines(), 1) if line
    ]
    warming = importlib.import_module("intellirouter.cli.cache_warm")  # the client that streams takes a while
    outcomes = asyncio.run(warming.ask_all(bodies, parallel, url, api_key, config))
    typer.echo(
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "nothing to ask"
    )
    if outcomes["not kept"]:
        typer.echo(
            "not kept: answers of the offline model, those that are too long, and all where [cache] enabled is false",
            err=True,
        )
    if outcomes["failed"]:
        raise typer.Exit(1)


def _body(line: str, model: str, number: int) -> dict[str, Any]:
    if not line.lstrip().startswith("{"):
        return {"model": model, "messages": [{"role": "user", "content": line}]}
    try:
        body = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"line {number} is no JSON object: {error}") from error
    return {"model": model, **body}
