"""`intellirouter models facts`: what vendors publish of their models, as this installation knows it."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.errors import NotFound
from intellirouter.inference.published import NOTHING, PublishedFacts

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def facts(
    model: Annotated[str | None, typer.Argument(help="vendor/model, such as openai/gpt-5-mini.")] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """The published price, limits and capabilities of a model; without one, how old the facts are and whose."""
    published = PublishedFacts(configured(config, "router.toml").settings.model_registry.facts_file)
    date, credit = published.head()
    if model is None:
        typer.echo(msgspec.json.encode({"date": date, "credit": credit}) if as_json else f"{date}\n{credit}")
        return
    vendor, _, name = model.partition("/")
    found = published.find(vendor, name)
    if found is NOTHING:
        raise NotFound(f"Nothing is published here of '{model}' ({date}). Models are named vendor/model.")
    price = found.price
    known = {
        "model": model,
        "price": price.model_dump(exclude_none=True) if price else None,
        "context_window": found.context_window,
        "max_output_tokens": found.max_output_tokens,
        "capabilities": sorted(found.capabilities),
        "retires": found.retires,
        "date": date,
    }
    if as_json:
        typer.echo(msgspec.json.encode(known))
        return
    table = Table(show_header=False, caption=f"{date}. {credit}", caption_justify="left")
    table.add_row(*cells("model", model))
    rates = price.model_dump(exclude_none=True).items() if price else ()
    table.add_row(
        "$ per million tokens", ", ".join(f"{name} {rate:g}" for name, rate in rates) or "not published"
    )
    for label, limit in (("context", found.context_window), ("longest answer", found.max_output_tokens)):
        table.add_row(label, f"{limit:,} tokens" if limit else "not published")
    table.add_row("can", ", ".join(sorted(found.capabilities)) or "not published")
    if found.retires:
        table.add_row("retires", found.retires)
    Console().print(table)
