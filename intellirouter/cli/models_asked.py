"""`intellirouter models list` and `test`: what a Router offers, and whether it answers."""

from __future__ import annotations

import time
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once
from intellirouter.counts import counted
from intellirouter.errors import UpstreamUnavailable

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command("list")
def list_(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every model the Router offers this key."""
    answer, _ = ask_once(url, api_key, "GET", "/v1/models", config=config)
    if as_json:
        typer.echo(msgspec.json.encode(answer["data"]))
        return
    table = Table()
    for column in ("model", "targets", "context", "$ in / out per million", "aliases"):
        table.add_column(column, overflow="fold")
    for model in answer["data"]:
        price = model.get("pricing")
        table.add_row(
            *cells(
                model["id"],
                ", ".join(model.get("targets", [])),
                f"{model['context_window']:,}" if model.get("context_window") else "",
                f"{price['input']:g} / {price['output']:g}" if price else "",
                ", ".join(model.get("aliases", [])),
            )
        )
    Console().print(table)


@app.command()
def test(
    model: Annotated[str, typer.Argument(help="The model to ask.")],
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model for one word. Exit code 1 when nobody answers."""
    messages = [{"role": "user", "content": "Answer with the single word: ready"}]
    body = {
        "model": model,
        "messages": messages,
        "max_tokens": 64,
        "intellirouter": {"cache_control": "no-store"},
    }
    began = time.perf_counter()
    answer, headers = ask_once(url, api_key, "POST", "/v1/chat/completions", body, config=config)
    if "x-intellirouter-canned" in headers:
        tried = headers.get("x-intellirouter-attempts", "0")
        raise UpstreamUnavailable(
            f"nobody answers for '{model}' ({counted(int(tried), 'attempt')}): the server gave its canned answer (cache.canned_answer). "
            "Its log says why. What was drained is asked again after: intellirouter models drain TARGET --undo"
        )
    facts: dict[str, Any] = {
        "model": headers.get("x-intellirouter-model", ""),
        "provider": headers.get("x-intellirouter-provider", ""),
        "attempts": int(headers.get("x-intellirouter-attempts", "1")),
        "ms": round((time.perf_counter() - began) * 1e3),
        "answer": answer["choices"][0]["message"].get("content") or "",
    }
    if as_json:
        typer.echo(msgspec.json.encode(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:9} {value}")
