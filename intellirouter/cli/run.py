"""`intellirouter run`: start a role, or all of them, in this process."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from intellirouter.app import workers
from intellirouter.app.node import Node
from intellirouter.app.roles import select
from intellirouter.cli.node_configuration import loader
from intellirouter.cli.node_options import ConfigOption, RoleOption
from intellirouter.cli.plain import cells, warn
from intellirouter.config.checking import KeyPath
from intellirouter.counts import counted
from intellirouter.inference.catalog import Catalog
from intellirouter.roles.router.console.routes import CONSOLE
from intellirouter.roles.router.keys import CATALOG

MOST_FILES = 1 << 20
"""Of open files, which a container may be allowed without end."""
PortOption = Annotated[int | None, typer.Option(help="Port of that role; 0: a free one.")]


def command(
    role: RoleOption = "All",
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the Router, or of the one role that runs; 0: a free one.")
    ] = None,
    port_chain_engine: PortOption = None,
    port_rag_manager: PortOption = None,
    port_persona_layer: PortOption = None,
    workers_: Annotated[
        int | None, typer.Option("--workers", help="Router processes that share the port.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Start a role, or all of them, in this process."""
    entries = select(role)
    flags: Mapping[KeyPath, object] = {
        ("server", "host"): host,
        ("server", "port"): port,
        ("roles", "chain_engine", "port"): port_chain_engine,
        ("roles", "rag_manager", "port"): port_rag_manager,
        ("roles", "persona_layer", "port"): port_persona_layer,
        ("server", "workers"): workers_,
        ("telemetry", "log_level"): log_level,
    }
    read = loader(config, entries[0].file, flags)
    _open_files()
    workers.run(entries, read, announce=_announce)


def _open_files() -> None:
    """Every connection is a file: take as many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, MOST_FILES) if hard != resource.RLIM_INFINITY else MOST_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _announce(node: Node) -> None:
    """Say once what this process is."""
    settings = node.loaded.settings
    table = Table(title=f"IntelliRouter ({settings.environment})", title_justify="left", show_header=True)
    table.add_column("role")
    table.add_column("address")
    for listening in node.listening:
        table.add_row(*cells(listening.role, listening.url))
    console = Console()
    console.print(table)
    facts = Table.grid(padding=(0, 2))
    if CATALOG in node.opened.values:
        facts.add_row(*cells("providers", _providers(node.opened[CATALOG])))
    facts.add_row("state", settings.memory.backend_type)
    facts.add_row(*cells("data", settings.paths.data_dir))
    facts.add_row(*cells("config", node.loaded.file or "built-in defaults and the environment"))
    console.print(facts)
    if (address := console_address(node)) is not None:
        console.print(f"console    {address}", soft_wrap=True, highlight=False, markup=False)
    for problem in node.loaded.warnings:
        warn(console, problem, "WARNING")


def console_address(node: Node) -> str | None:
    """Where a browser finds the console; with a link that signs the operator in once, where keys are off."""
    console = node.opened.values.get(CONSOLE)
    router = next((listening.url for listening in node.listening if listening.role == "Router"), None)
    if console is None or router is None:
        return None
    return f"{router}/console" + (f"#setup={console.setup}" if console.setup else "")


def _providers(catalog: Catalog) -> str:
    """What discovery found: `openai (62 models), workstation`."""
    found = [
        name if count is None else f"{name} ({counted(count, 'model')})" for name, count in catalog.found()
    ]
    return ", ".join(found) or "offline: no model provider is configured, and no Ollama answers"
