"""`intellirouter models add`, `remove` and `drain`: changes to the registry at run time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from intellirouter.cli.audited import audited_command
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.errors import InvalidRequest
from intellirouter.inference.registry import Registry, model_section
from intellirouter.memory.open import open_state

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


def _with_registry(config: ConfigOption, act: Callable[[Registry], Awaitable[T]]) -> T:
    settings = configured(config, "router.toml").settings

    async def run() -> T:
        async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
            return await act(Registry(store))

    with audited_command(settings):
        return asyncio.run(run())


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What clients ask for.")],
    target: Annotated[list[str], typer.Option(help="provider/model, may be repeated; =WEIGHT may follow.")],
    strategy: Annotated[str | None, typer.Option(help="How targets are chosen.")] = None,
    fallback: Annotated[list[str] | None, typer.Option(help="A model to try when all targets fail.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="Another name.")] = None,
    context_window: Annotated[int | None, typer.Option(min=1, help="In tokens.")] = None,
    price: Annotated[str | None, typer.Option(help="IN,OUT in US dollars per million tokens.")] = None,
    config: ConfigOption = None,
) -> None:
    """Add or replace a model, on every node that shares this state."""
    fields: dict[str, Any] = {"name": name, "targets": [_target(text) for text in target]}
    optional = {
        "strategy": strategy,
        "fallbacks": fallback,
        "aliases": alias,
        "context_window": context_window,
        "price": _price(price) if price else None,
    }
    fields |= {key: value for key, value in optional.items() if value}
    for section in model_section(fields).targets:
        _check_provider(config, section.target)
    _with_registry(config, lambda registry: registry.add(fields))
    typer.echo(f"The model '{name}' is there.")


def _check_provider(config: Path | None, target: str) -> None:
    """Raises `InvalidRequest` for a target of a provider that the configuration does not name."""
    loaded = configured(config, "router.toml")
    known = {provider.name for provider in loaded.settings.model_registry.providers}
    if (provider := target.partition("/")[0]) not in known:
        source = loaded.file or "the built-in defaults"
        raise InvalidRequest(
            f"There is no provider '{provider}' in {source} (--config names another file). "
            f"Providers: {', '.join(sorted(known)) or 'none'}."
        )


def _target(text: str) -> dict[str, Any]:
    name, _, weight = text.partition("=")
    try:
        return {"target": name, "weight": float(weight)} if weight else {"target": name}
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' does not read like provider/model=2") from error


def _price(text: str) -> dict[str, float]:
    try:
        read, written = (float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' does not read like 0.5,1.5") from error
    return {"input": read, "output": written}


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="A model that was added at run time.")],
    config: ConfigOption = None,
) -> None:
    """Take back a model that was added at run time."""
    _with_registry(config, lambda registry: registry.remove(name))
    typer.echo(f"The model '{name}' is gone.")


@app.command()
def drain(
    target: Annotated[str, typer.Argument(help="provider/model, or a provider for all its targets.")],
    undo: Annotated[bool, typer.Option("--undo", help="Send it requests again.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a target no new requests; what is under way finishes."""
    if not undo:
        _check_provider(config, target)
    changes = _with_registry(config, lambda registry: registry.drain(target, not undo))
    typer.echo(f"drained: {', '.join(sorted(changes.drained)) or 'nothing'}")
