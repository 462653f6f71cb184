"""`intellirouter whoami`: who a Router takes you for."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import wrapped
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once


def command(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Who a Router takes you for, by the key or the sign-in that you have, and what you may."""
    told, _ = ask_once(url, api_key, "GET", "/auth/whoami", config=config)
    if as_json:
        typer.echo(msgspec.json.encode(told))
        return
    typer.echo(f"{told['object']} {told['name']}, tenant {told['tenant']}")
    for name in ("roles", "scopes", "permissions"):
        if told[name]:
            lines = wrapped(" ".join(told[name]), 65)
            typer.echo(f"{name + ':':<13} " + ("\n" + " " * 14).join(lines))
