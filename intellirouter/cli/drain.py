"""`intellirouter drain`: load balancers turn away from a Router before it is stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once


def command(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="Make it ready again.")] = False,
) -> None:
    """Make a running Router not ready: `/health/ready` says 503, and every request is still served."""
    ask_once(url, api_key, "POST", "/admin/drain", {"node": True, "drained": not undo}, config=config)
    where = address_of("Router", url, config).url
    typer.echo(
        f"{where} is {'ready again' if undo else 'not ready; stop it when its load balancers saw that'}"
    )
