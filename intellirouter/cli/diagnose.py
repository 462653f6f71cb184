"""`intellirouter diagnose`: look at this node and say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from intellirouter import __version__
from intellirouter.app.diagnosis import role_of, roles
from intellirouter.app.roles import ROLES, RoleEntry, select
from intellirouter.app.rules import RULES
from intellirouter.cli.node_configuration import node_file
from intellirouter.cli.node_options import ConfigOption, RoleOption
from intellirouter.cli.node_unit import UnitOption, advice, entered
from intellirouter.cli.plain import wrapped
from intellirouter.config import env
from intellirouter.config.load import Loaded, look
from intellirouter.counts import counted
from intellirouter.errors import ConfigError
from intellirouter.inference.provider import Provider, provider_of
from intellirouter.ops.diagnose.bundle import BundleFile, contents
from intellirouter.ops.diagnose.examine import (
    AREAS,
    DEADLINE,
    examine,
    log_tail,
    redacted,
    redactor,
    unreadable,
    without_configuration,
)
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.providers.table import ADAPTERS
from intellirouter.telemetry import logs

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def command(
    config: ConfigOption = None,
    unit: UnitOption = None,
    role: RoleOption = "All",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="Write a .tar.gz for support, without secrets.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds for each thing on the network.")
    ] = DEADLINE,
) -> None:
    """Look at this node and say what to do. Exit code 0: all is well, 1: warnings, 2: problems. Changes nothing."""
    logs.configure(level="error", json=False)  # standard output is the report's
    writer = (
        BundleFile(bundle) if bundle is not None else None
    )  # as the user who asks, before another one is taken on
    entries = select(role) if role.lower() != "all" else ROLES
    loaded, findings = _look(config, entries, unit)
    if loaded is not None:
        seen = asyncio.run(_examined(loaded, entries, role, timeout))
        findings += [
            found for found in seen if not (findings and found.level is Level.OK and found.name == "config")
        ]
    findings.sort(key=lambda found: AREAS.index(found.area))
    clean = redactor(loaded.settings if loaded else None, env.current())
    findings = redacted(findings, clean)
    worst = max(found.level for found in findings)
    report = _report(findings, worst)
    if writer is not None:
        log = log_tail(loaded.settings.telemetry.log_file, clean) if loaded else ""
        writer.write(contents(report, loaded, log, clean))
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


def _look(
    config: Path | None, entries: Sequence[RoleEntry], unit: str | None
) -> tuple[Loaded | None, list[Finding]]:
    """The configuration as far as it holds, and what is wrong with it: a part that is missing hides no other."""
    file = None
    try:
        file = node_file(config, entries[0].file, unit)
        loaded, problems = look(file, env.current(), None, RULES)
    except ConfigError as error:
        return None, [*without_configuration(), *unreadable(error.message)]
    told = unreadable("\n".join(map(str, problems)))
    if told and (why := advice(file)):
        told.append(
            Finding(
                "install",
                "environment",
                Level.PROBLEM,
                "a part of the node's environment is missing here",
                why,
            )
        )
    return loaded, told if loaded is not None else [*without_configuration(), *told]


async def _examined(loaded: Loaded, entries: Sequence[RoleEntry], role: str, seconds: float) -> list[Finding]:
    """Every finding on a node of these roles."""
    acting = entered()
    if role.lower() == "all":
        entries = select(acting.role) if acting and acting.role else role_of(loaded.file, entries)
    providers: list[Provider] = []
    if any(entry.name == "Router" for entry in entries):
        for section in loaded.settings.model_registry.providers:
            try:
                providers += [provider_of(section, ADAPTERS)] if section.enabled else []
            except ConfigError:
                continue  # told already, with its line
    checks = (roles(loaded, entries, seconds, by_unit=acting is not None),)
    return await examine(loaded, providers, seconds, checks, acting.open_files if acting else None)


def _print(findings: list[Finding], worst: Level, bundle: Path | None) -> None:
    """One finding after the other: its name is never cut, and what it says goes on below it."""
    console = Console()
    width = console.width if console.is_terminal else 10_000
    area = ""
    for found in findings:
        if found.area != area:
            area = found.area
            console.print(Text(area, style="bold"))
        style = STYLES[found.level]
        head = Text.assemble(
            "  ",
            (f"{found.level.name.lower():<8}", style),
            (found.name, "bold" if found.level else ""),
            "  ",
        )
        lines = wrapped(found.message, width - 10, first=width - head.cell_len)
        console.print(Text.assemble(head, lines[0]), soft_wrap=True, highlight=False)
        for line in lines[1:]:
            console.print(Text(" " * 10 + line), soft_wrap=True)
        if found.advice:
            for number, line in enumerate(wrapped(found.advice, width - 12)):
                console.print(
                    Text(" " * 10 + ("→ " if number == 0 else "  ") + line, style=style), soft_wrap=True
                )
    problems = sum(found.level is Level.PROBLEM for found in findings)
    warnings = sum(found.level is Level.WARNING for found in findings)
    console.print(
        Text(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}", style=STYLES[worst])
    )
    if bundle is not None:
        console.print(f"{bundle}: written, without secrets", soft_wrap=True, markup=False)
