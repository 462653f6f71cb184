"""`intellirouter teams`: what people of a team have together."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.people import check_name, check_roles, with_people
from intellirouter.cli.plain import cells
from intellirouter.identity.store import PeopleStore
from intellirouter.security.people import Account, Team

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
NameArgument = Annotated[str, typer.Argument(help="The team's name.")]
RoleOption = Annotated[list[str] | None, typer.Option("--role", help="A role its members have.")]


@app.command()
def create(
    name: NameArgument, config: ConfigOption = None, role: RoleOption = None, as_json: JsonOption = False
) -> None:
    """Make a team."""
    loaded = configured(config, "router.toml")
    check_name(name)
    check_roles(loaded, role)
    team = Team(name=name, created=time.time(), roles=tuple(role or ()))
    made = with_people(loaded, lambda people: people.create_team(team))
    typer.echo(msgspec.json.encode(made.shown()) if as_json else f"The team '{name}' is made.")


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every team, with its members."""
    teams, accounts = with_people(configured(config, "router.toml"), _both)
    members = {team.name: [one.name for one in accounts if team.name in one.teams] for team in teams}
    if as_json:
        typer.echo(msgspec.json.encode([{**team.shown(), "members": members[team.name]} for team in teams]))
        return
    if not teams:
        typer.echo("No team.")
        return
    table = Table(Column("name", overflow="fold"), "roles", "members", box=None)
    for team in teams:
        table.add_row(*cells(team.name, ", ".join(team.roles), len(members[team.name])))
    Console().print(table)


async def _both(people: PeopleStore) -> tuple[list[Team], list[Account]]:
    return await people.teams(), await people.accounts()


@app.command()
def update(name: NameArgument, role: RoleOption = None, config: ConfigOption = None) -> None:
    """Give it these roles in place of its own; '' for none."""
    loaded = configured(config, "router.toml")
    roles = tuple(one for one in role or () if one)
    check_roles(loaded, roles)
    with_people(loaded, lambda people: people.update_team(name, roles=roles))
    typer.echo(f"The team '{name}' is changed.")


@app.command()
def delete(name: NameArgument, config: ConfigOption = None) -> None:
    """Forget a team; its members stay, without its roles."""
    with_people(configured(config, "router.toml"), lambda people: people.delete_team(name))
    typer.echo(f"The team '{name}' is deleted.")
