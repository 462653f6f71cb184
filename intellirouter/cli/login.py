"""`intellirouter login`: a token of a Router, kept for the other commands."""

from __future__ import annotations

import getpass
import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from intellirouter.cli.fresh_token import signed_in
from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import UrlOption, ask_once
from intellirouter.cli.signed_in import keep
from intellirouter.errors import InvalidRequest

UserOption = Annotated[str | None, typer.Option("--user", help="Your name, to sign in with a password.")]
ProviderOption = Annotated[
    str | None, typer.Option("--provider", help="The provider of identities, where there are several.")
]
DeviceOption = Annotated[
    bool, typer.Option("--device", help="Show a code to enter in a browser on another machine.")
]


def command(
    url: UrlOption = None,
    user: UserOption = None,
    provider: ProviderOption = None,
    device: DeviceOption = False,
    config: ConfigOption = None,
) -> None:
    """Sign in to a Router at its provider of identities, or with your name and password. Other commands use it then."""
    where = address_of("Router", url, config).url
    methods, _ = ask_once(url, None, "GET", "/auth/methods", config=config)
    if user is not None and (provider is not None or device):
        raise InvalidRequest(
            "--user signs in with a password, --provider and --device at a provider: not both."
        )
    if user is None and methods["providers"]:
        name = _provider(methods["providers"], provider)
        told = _at_provider(url, where, name, device=device, config=config)
    elif provider is not None or device:
        raise InvalidRequest(f"{where} has no provider of identities ([[auth.oidc]]): sign in with --user.")
    else:
        told = _by_password(url, user, config)
    place = keep(where, signed_in(told["name"], told))
    typer.echo(f"Signed in to {where} as {told['name']}.\nThe token is in {place}, readable for you alone.")


def _provider(listed: list[dict[str, str]], asked: str | None) -> str:
    names = [one["name"] for one in listed]
    if asked is None and len(names) > 1:
        raise InvalidRequest(f"There are several providers: name one with --provider ({', '.join(names)}).")
    if asked is not None and asked not in names:
        raise InvalidRequest(f"There is no provider '{asked}'. There are: {', '.join(names)}.")
    return asked or names[0]


def _at_provider(
    url: str | None, where: str, name: str, *, device: bool, config: Path | None
) -> dict[str, Any]:
    def ask(path: str, body: object) -> Any:
        return ask_once(url, None, "POST", path, body, config=config)[0]

    ways = importlib.import_module("intellirouter.cli.login_provider")
    if device or not ways.has_browser():
        told = ways.by_device(ask, name)
    else:
        told = ways.by_browser(ask, where, name)
    who, _ = ask_once(url, told["access_token"], "GET", "/auth/whoami", config=config)
    return {**told, "name": who["name"]}


def _by_password(url: str | None, user: str | None, config: Path | None) -> dict[str, Any]:
    name = user or typer.prompt("Name")
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    body = {"username": name, "password": password}
    told, _ = ask_once(url, None, "POST", "/auth/login", body, config=config)
    return {**told, "name": name}
