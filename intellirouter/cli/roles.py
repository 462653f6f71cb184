"""`intellirouter roles`: which roles there are, and what they let."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.people import policy_of
from intellirouter.cli.plain import cells
from intellirouter.security.permissions import PERMISSION
from intellirouter.security.policy import no_role


def command(
    name: Annotated[str | None, typer.Argument(help="One role, with everything that it lets.")] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Which roles there are; with a name, what that one lets."""
    policy = policy_of(configured(config, "router.toml"))
    if name is not None and name not in policy.roles:
        raise typer.BadParameter(no_role(name, policy))
    chosen = [role for role in policy.roles.values() if name in (None, role.name)]
    if as_json:
        typer.echo(
            msgspec.json.encode(
                [{**msgspec.to_builtins(role), "permissions": sorted(role.permissions)} for role in chosen]
            )
        )
        return
    if name is None:
        table = Table(Column("role", overflow="fold"), "from", "permissions", "for", box=None)
        for role in chosen:
            source = "built in" if role.built_in else "policy"
            table.add_row(*cells(role.name, source, len(role.permissions), role.description))
        Console().print(table)
        return
    table = Table(Column("permission", no_wrap=True), "lets", box=None)
    for permission in sorted(chosen[0].permissions):
        table.add_row(*cells(permission, PERMISSION[permission].text))
    Console().print(table)
