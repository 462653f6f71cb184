"""`intellirouter login`: a token of a Router, kept for the other commands."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import UrlOption, ask_once
from intellirouter.cli.signed_in import SignedIn, keep

UserOption = Annotated[str | None, typer.Option("--user", help="Your name; asked for without.")]


def command(url: UrlOption = None, user: UserOption = None, config: ConfigOption = None) -> None:
    """Sign in to a Router with your name and password (asked for, or read from standard input). Other commands use it then."""
    where = address_of("Router", url, config).url
    name = user or typer.prompt("Name")
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    body = {"username": name, "password": password}
    told, _ = ask_once(url, None, "POST", "/auth/login", body, config=config)
    place = keep(where, SignedIn(name, told["access_token"], told["refresh_token"]))
    typer.echo(f"Signed in to {where} as {name}. The token is in {place}, readable for you alone.")
