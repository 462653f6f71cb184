"""`intellirouter keys`: API keys made at run time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.audited import audited
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.cli.parts import parts
from intellirouter.cli.people import check_roles, with_people
from intellirouter.cli.plain import cells, dollars, warn
from intellirouter.config.load import Loaded
from intellirouter.config.schema.auth import SCOPES, unknown_scopes
from intellirouter.counts import counted
from intellirouter.inference.virtual_keys import GRACE_SECONDS, KeyStore, VirtualKey, make_key
from intellirouter.memory.open import open_state
from intellirouter.security.api_keys import hash_key
from intellirouter.security.fence import Fence, problem_of

T = TypeVar("T")
PERIODS = ("hour", "day", "month", "total")

app = typer.Typer(
    cls=parts({"intellirouter.cli.keys_master": ("rotate-master",)}),
    no_args_is_help=True,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
KeyArgument = Annotated[str, typer.Argument(help="Id or name of the key.")]


def _with_keys(loaded: Loaded, act: Callable[[KeyStore], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = loaded.settings
        async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
            return await act(KeyStore(store))

    return asyncio.run(run())


def _change(loaded: Loaded, action: str, name: str, act: Callable[[KeyStore], Awaitable[T]]) -> T:
    """The same, for what changes a key: the audit is told."""
    with audited(loaded.settings, f"keys {action}", f"key:{name}") as told:

        async def change(keys: KeyStore) -> tuple[VirtualKey | None, T]:
            before = [key for key in await keys.all() if name in (key.id, key.name)]
            return (before[-1] if before else None), await act(keys)

        before, made = _with_keys(loaded, change)
        key = made[0] if isinstance(made, tuple) else made
        if before is not None and action != "create":
            told.before = before.shown()
        if isinstance(key, VirtualKey):
            told.on, told.after = f"key:{key.id} {key.name}", key.shown()
        return made


def _read(config: Path | None, unit: str | None) -> Loaded:
    return configured(config, "router.toml", unit)


async def _created(key: VirtualKey, keys: KeyStore) -> VirtualKey:
    await keys.create(key)
    return key


def _print_secret(loaded: Loaded, key: VirtualKey, secret: str, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({**key.shown(), "secret": secret}))
        return
    typer.echo(secret)
    console = Console(stderr=True)
    console.print(f"This is the secret of '{key.name}'. It is shown only now.", highlight=False, markup=False)
    if not loaded.settings.auth.enabled:
        warn(console, "auth.enabled is false: the Router asks nobody for a key.", "WARNING")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call the key.")],
    config: ConfigOption = None,
    unit: UnitOption = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(SCOPES)}; may be repeated; inference by default."),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model it may use; all by default.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="In place of scopes; may be repeated.")] = None,
    owner: Annotated[
        str | None, typer.Option(help="User or service account it belongs to; it may no more than that.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="Shares limits and budgets.")] = None,
    tenant: Annotated[str, typer.Option(help="Separates data.")] = "default",
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens per minute.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="hour=5, day=20, month=100 or total=500, in US dollars.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.01, help="Until it expires.")] = None,
    priority: Annotated[int, typer.Option(help="Higher is served first when requests queue.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print its secret, once."""
    loaded = _read(config, unit)
    if role and scope:
        raise typer.BadParameter("a key has scopes or roles, not both", param_hint="--role")
    check_roles(loaded, role)
    account = None if owner is None else with_people(loaded, lambda people: people.find(owner))
    key, secret = make_key(
        name,
        scopes=tuple(scope or ("inference",)),
        roles=tuple(role or ()),
        owner="" if account is None else account.id,
        models=tuple(model or ()),
        team=team,
        tenant=tenant if account is None else account.tenant,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        budgets=_budgets(budget or []),
        expires=None if days is None else time.time() + days * 86_400,
        priority=priority,
    )
    _change(loaded, "create", key.name, partial(_created, key))
    _print_secret(loaded, key, secret, as_json)


def _budgets(given: list[str]) -> dict[str, float]:
    budgets: dict[str, float] = {}
    for text in given:
        period, _, amount = text.partition("=")
        try:
            budgets[period] = float(amount)
        except ValueError:
            budgets[period] = 0.0
        if period not in PERIODS or not 0 < budgets[period] < math.inf:
            raise typer.BadParameter(
                f"'{text}' does not read like day=20: {', '.join(PERIODS)}, and US dollars above 0",
                param_hint="--budget",
            )
    return budgets


@app.command("list")
def list_(
    config: ConfigOption = None,
    unit: UnitOption = None,
    all_: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every key that is good, without its secret."""
    keys = _with_keys(_read(config, unit), lambda keys: keys.all())
    if as_json:
        typer.echo(msgspec.json.encode([key.shown() for key in keys]))
        return
    shown = [key for key in keys if all_ or key.live_until(time.time()) is not None]
    table = Table(
        Column("name", overflow="fold"), Column("secret", no_wrap=True), "may", "ends", "limits", box=None
    )
    for key in shown:
        table.add_row(*cells(key.name, f"…{key.hint}", _may(key), _ends(key), _limits(key)))
    if shown:
        Console().print(table)
    ended = len(keys) - len(shown)
    if not shown:
        typer.echo("No key." if not ended else "No key that is good.")
    if ended:
        typer.echo(f"{counted(ended, 'key')} revoked or expired: --all shows them too.", err=True)


def _may(key: VirtualKey) -> str:
    """Scopes, and whose: `inference, team research`."""
    words = [*(key.roles or key.scopes)]
    if key.team:
        words.append(f"team {key.team}")
    if key.tenant != "default":
        words.append(f"tenant {key.tenant}")
    return ", ".join(words)


def _ends(key: VirtualKey) -> str:
    """When: a day, or how it ended."""
    if key.revoked is not None:
        return f"revoked {_day(key.revoked)}"
    if key.blocked is not None:
        return f"blocked {_day(key.blocked)}"
    if key.expires is None:
        return "never"
    return f"expired {_day(key.expires)}" if key.expires <= time.time() else _day(key.expires)


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d")


def _limits(key: VirtualKey) -> str:
    parts = [f"{dollars(limit)}/{period}" for period, limit in key.budgets.items()]
    if key.requests_per_minute:
        parts.append(f"{key.requests_per_minute} req/min")
    if key.tokens_per_minute:
        parts.append(f"{key.tokens_per_minute} tok/min")
    return ", ".join(parts)


@app.command()
def rotate(
    key: KeyArgument,
    config: ConfigOption = None,
    unit: UnitOption = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds the old secret stays good.")] = GRACE_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Give a key a new secret."""
    loaded = _read(config, unit)
    changed, secret = _change(loaded, "rotate", key, lambda keys: keys.rotate(key, grace))
    _print_secret(loaded, changed, secret, as_json)


@app.command()
def revoke(key: KeyArgument, config: ConfigOption = None, unit: UnitOption = None) -> None:
    """End a key at once, on every node."""
    ended = _change(_read(config, unit), "revoke", key, lambda keys: keys.revoke(key))
    typer.echo(f"The key '{ended.name}' ({ended.id}) is revoked.")


@app.command()
def block(key: KeyArgument, config: ConfigOption = None, unit: UnitOption = None) -> None:
    """Take nothing from a key, on every node, until it is unblocked."""
    blocked = _change(_read(config, unit), "block", key, lambda keys: keys.block(key))
    typer.echo(f"The key '{blocked.name}' ({blocked.id}) is blocked.")


@app.command()
def unblock(key: KeyArgument, config: ConfigOption = None, unit: UnitOption = None) -> None:
    """Take a blocked key again."""
    free = _change(_read(config, unit), "unblock", key, lambda keys: keys.unblock(key))
    typer.echo(f"The key '{free.name}' ({free.id}) is {free.status(time.time())}.")


@app.command()
def update(
    key: KeyArgument,
    config: ConfigOption = None,
    unit: UnitOption = None,
    scope: Annotated[list[str] | None, typer.Option(help="In place of its scopes; may be repeated.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="In place of its models; '' for all.")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="Paths it may ask, as in '/v1/chat/*'; '' for all.")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option(help="Networks it may come from; '' for anywhere.")
    ] = None,
    collection: Annotated[list[str] | None, typer.Option(help="Collections it may use; '' for all.")] = None,
    parallel: Annotated[
        int | None, typer.Option(min=-1, help="Requests at once; -1 for as many as come.")
    ] = None,
    rpm: Annotated[int | None, typer.Option(min=-1, help="Requests per minute; -1 for no limit.")] = None,
    tpm: Annotated[int | None, typer.Option(min=-1, help="Tokens per minute; -1 for no limit.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="In place of its budgets, as in day=20; '' for none.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.01, help="From now until it expires.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher is served first.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a key may. What is not named stays."""
    lists = {
        "scopes": scope,
        "models": model,
        "endpoints": endpoint,
        "addresses": address,
        "collections": collection,
    }
    fields: dict[str, Any] = {
        name: tuple(value for value in given if value) for name, given in lists.items() if given is not None
    }
    if scope is not None and (told := unknown_scopes(fields["scopes"])):
        raise typer.BadParameter(told, param_hint="--scope")
    numbers = {"max_parallel": parallel, "requests_per_minute": rpm, "tokens_per_minute": tpm}
    fields |= {name: None if given < 0 else given for name, given in numbers.items() if given is not None}
    if budget is not None:
        fields["budgets"] = _budgets([text for text in budget if text])
    if days is not None:
        fields["expires"] = time.time() + days * 86_400
    if priority is not None:
        fields["priority"] = priority
    if not fields:
        raise typer.BadParameter("name what is to change: --model, --scope, --endpoint …")
    problem = problem_of(Fence(addresses=fields.get("addresses", ())))
    if problem is not None:
        raise typer.BadParameter(problem[1], param_hint="--address")
    changed = _change(_read(config, unit), "update", key, lambda keys: keys.update(key, **fields))
    if as_json:
        typer.echo(msgspec.json.encode(changed.shown()))
    else:
        typer.echo(f"The key '{changed.name}' ({changed.id}) is changed.")


@app.command("hash")
def hash_() -> None:
    """Read a key from standard input and print its hash, for [[auth.keys]]."""
    typer.echo(hash_key(typer.get_text_stream("stdin").readline().strip()))
