"""`intellirouter console`: a link that signs the operator in to the web console, once."""

from __future__ import annotations

import asyncio

import typer

from intellirouter.cli.audited import audited
from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.config.load import Loaded
from intellirouter.errors import ConfigError
from intellirouter.memory.open import open_state
from intellirouter.roles.router.console.sessions import setup_link


def command(config: ConfigOption = None) -> None:
    """Print a link that signs you in to the node's web console as its operator. It is good once, within an hour."""
    loaded = configured(config, "router.toml")
    if not loaded.settings.console.enabled:
        raise ConfigError("The console is switched off on this node ([console] enabled).")
    where = address_of("Router", None, config).url
    with audited(loaded.settings, "console", "setup link"):
        link = asyncio.run(_link(loaded))
    typer.echo(f"{where}/console#setup={link}")


async def _link(loaded: Loaded) -> str:
    settings = loaded.settings
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        return await setup_link(store)
