"""`intellirouter users`: people and service accounts."""

from __future__ import annotations

import getpass
import sys
import time
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.people import check_name, check_roles, with_people
from intellirouter.cli.plain import cells
from intellirouter.identity.passwords import hashed, weakness
from intellirouter.security.people import Account, new_account

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
UserArgument = Annotated[str, typer.Argument(help="Name or id.")]
RoleOption = Annotated[list[str] | None, typer.Option("--role", help="A role; may be repeated.")]
TeamOption = Annotated[list[str] | None, typer.Option("--team", help="A team; may be repeated.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    config: ConfigOption = None,
    service: Annotated[bool, typer.Option("--service", help="A service account: keys, no password.")] = False,
    role: RoleOption = None,
    team: TeamOption = None,
    tenant: Annotated[str, typer.Option(help="Separates data.")] = "default",
    email: Annotated[str, typer.Option(help="Mail address.")] = "",
    title: Annotated[str, typer.Option(help="Full name.")] = "",
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password, or read it from standard input.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a user, or a service account. Without a password a user signs in elsewhere (OIDC), or not at all."""
    loaded = configured(config, "router.toml")
    check_name(name)
    check_roles(loaded, role)
    if service and password:
        raise typer.BadParameter("a service account has keys, not a password", param_hint="--password")
    account = new_account(
        name,
        "service" if service else "user",
        roles=tuple(role or ()),
        teams=tuple(team or ()),
        tenant=tenant,
        email=email,
        title=title,
        password=hashed(_asked_password(name)) if password else None,
    )
    _told(with_people(loaded, lambda people: people.create(account)), "made", as_json)


def _asked_password(name: str) -> str:
    if sys.stdin.isatty():
        given = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != given:
            raise typer.BadParameter("the two are not the same", param_hint="--password")
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if told := weakness(given, name):
        raise typer.BadParameter(told, param_hint="--password")
    return given


def _told(account: Account, what: str, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(account.shown()))
    else:
        typer.echo(f"The {account.kind} '{account.name}' ({account.id}) is {what}.")


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Everybody, by name."""
    accounts = with_people(configured(config, "router.toml"), lambda people: people.accounts())
    if as_json:
        typer.echo(msgspec.json.encode([account.shown() for account in accounts]))
        return
    if not accounts:
        typer.echo("Nobody.")
        return
    table = Table(Column("name", overflow="fold"), "kind", "roles", "teams", "tenant", "status", box=None)
    for account in accounts:
        roles, teams = ", ".join((*account.roles, *account.given)), ", ".join(account.teams)
        table.add_row(
            *cells(account.name, account.kind, roles, teams, account.tenant, account.shown()["status"])
        )
    Console().print(table)


@app.command()
def update(
    user: UserArgument,
    config: ConfigOption = None,
    role: RoleOption = None,
    team: TeamOption = None,
    email: Annotated[str | None, typer.Option(help="Mail address.")] = None,
    title: Annotated[str | None, typer.Option(help="Full name.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change roles ('' for none), teams or names. What is not named stays."""
    loaded = configured(config, "router.toml")
    lists = {"roles": role, "teams": team}
    changes: dict[str, Any] = {
        name: tuple(one for one in given if one) for name, given in lists.items() if given is not None
    }
    check_roles(loaded, changes.get("roles"))
    changes |= {name: text for name, text in (("email", email), ("title", title)) if text is not None}
    if not changes:
        raise typer.BadParameter("name what is to change: --role, --team, --email, --title")
    _told(with_people(loaded, lambda people: people.update(user, **changes)), "changed", as_json)


@app.command()
def password(user: UserArgument, config: ConfigOption = None) -> None:
    """Give a user a password, asked for or read from standard input. Who is signed in as it is signed out."""
    loaded = configured(config, "router.toml")
    account = with_people(loaded, lambda people: people.find(user, "user"))
    kept = hashed(_asked_password(account.name))
    changed = with_people(
        loaded, lambda people: people.update(account.id, password=kept, signed_out=time.time())
    )
    _told(changed, "given the password", False)


@app.command()
def block(user: UserArgument, config: ConfigOption = None) -> None:
    """Take nothing from it nor from its keys, on every node, until it is unblocked."""
    _told(with_people(configured(config, "router.toml"), lambda people: people.block(user)), "blocked", False)


@app.command()
def unblock(user: UserArgument, config: ConfigOption = None) -> None:
    """Take a blocked one again."""
    _told(with_people(configured(config, "router.toml"), lambda people: people.unblock(user)), "live", False)


@app.command()
def delete(user: UserArgument, config: ConfigOption = None) -> None:
    """Forget one: its tokens, its keys and what it left behind do nothing from then on."""
    _told(
        with_people(configured(config, "router.toml"), lambda people: people.delete(user)), "deleted", False
    )


@app.command()
def show(user: UserArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One account."""
    account = with_people(configured(config, "router.toml"), lambda people: people.find(user))
    if as_json:
        typer.echo(msgspec.json.encode(account.shown()))
        return
    for name, value in account.shown().items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if text:
            typer.echo(f"{name + ':':<14}{text}")
