"""`intellirouter diagnose`: look at this node and say what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from intellirouter import __version__
from intellirouter.app.components.router import providers_of
from intellirouter.app.roles import ROLES, select
from intellirouter.cli.node_options import ConfigOption, RoleOption, loader
from intellirouter.config import env
from intellirouter.config.load import Loaded
from intellirouter.errors import ConfigError, IntelliRouterError
from intellirouter.ops.diagnose import bundle as bundles
from intellirouter.ops.diagnose.examine import DEADLINE, examine, log_tail, redacted, redactor, unreadable
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.telemetry import logs

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def command(
    config: ConfigOption = None,
    role: RoleOption = "All",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="Write a .tar.gz for support, without secrets.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds for each thing on the network.")
    ] = DEADLINE,
) -> None:
    """Look at this node and say what to do. Exit code 0: all is well, 1: warnings, 2: problems. Changes nothing."""
    logs.configure(level="error", json=False)  # standard output is the report's
    entries = select(role) if role.lower() != "all" else ROLES
    loaded: Loaded | None = None
    try:
        loaded = loader(config, entries[0].file)()
        findings = asyncio.run(examine(loaded, providers_of(loaded.settings), timeout))
    except ConfigError as error:
        findings = unreadable(error.message)
    clean = redactor(loaded.settings if loaded else None, env.current())
    findings = redacted(findings, clean)
    worst = max(found.level for found in findings)
    report = _report(findings, worst)
    if bundle is not None:
        log = log_tail(loaded.settings.telemetry.log_file, clean) if loaded else ""
        try:
            bundles.write(bundle, bundles.contents(report, loaded, log, clean))
        except OSError as cause:
            raise IntelliRouterError(f"{bundle}: cannot be written ({cause.strerror}).") from cause
    if as_json:
        typer.echo(report)
    else:
        _print(findings, worst, bundle)
    raise typer.Exit(int(worst))


def _report(findings: list[Finding], worst: Level) -> bytes:
    body = {
        "version": __version__,
        "status": worst.name.lower(),
        "findings": [found.shown() for found in findings],
    }
    return msgspec.json.encode(body)


def _print(findings: list[Finding], worst: Level, bundle: Path | None) -> None:
    console = Console()
    table = Table("", "area", "check", "found", box=None, padding=(0, 1))
    for found in findings:
        style = STYLES[found.level]
        text = escape(found.message + (f"\n→ {found.advice}" if found.advice else ""))
        table.add_row(f"[{style}]{found.level.name.lower()}[/]", found.area, escape(found.name), text)
    console.print(table, highlight=False)
    problems = sum(found.level is Level.PROBLEM for found in findings)
    warnings = sum(found.level is Level.WARNING for found in findings)
    console.print(f"[{STYLES[worst]}]{problems} problems, {warnings} warnings[/]")
    if bundle is not None:
        console.print(f"{bundle}: written, without secrets", soft_wrap=True, markup=False)
