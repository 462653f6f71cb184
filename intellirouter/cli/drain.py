"""`intellirouter drain`: load balancers turn away from a Router before it is stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from intellirouter.cli.server_client import DEFAULT_URL, ApiKeyOption, UrlOption, ask_once


def command(
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="Make it ready again.")] = False,
) -> None:
    """Make a running Router not ready: `/health/ready` says 503, and every request is still served."""
    ask_once(url, api_key, "POST", "/admin/drain", {"node": True, "drained": not undo})
    typer.echo(f"{url} is {'ready again' if undo else 'not ready; stop it when its load balancers saw that'}")
