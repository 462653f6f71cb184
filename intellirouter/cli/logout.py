"""`intellirouter logout`: the kept token is forgotten, and taken no more on any node."""

from __future__ import annotations

import typer

from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import ServerRefused, UrlOption, ask_once
from intellirouter.cli.signed_in import forget, kept


def command(url: UrlOption = None, config: ConfigOption = None) -> None:
    """Sign out: the token is forgotten here, and taken no more on any node."""
    where = address_of("Router", url, config).url
    found = kept(where)
    if found is None:
        typer.echo(f"Nobody is signed in to {where} here.")
        return
    try:
        ask_once(url, None, "POST", "/auth/logout", config=config)
    except ServerRefused as refused:
        if refused.details.get("refused") != "invalid_api_key":  # it has ended already
            raise
    finally:
        forget(where)
    typer.echo(f"Signed out of {where}.")
