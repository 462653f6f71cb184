"""A command by hand sees what the node of a unit sees: root takes on the unit's environment and user.

Once in a process, and not in a process that a unit started: that one has both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from intellirouter.app.rules import load_rules
from intellirouter.config import env
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.ops.units import UNIT_DIRS, Unit, take_on, unit_named, unit_of

UnitOption = Annotated[
    str | None,
    typer.Option(
        "--unit", help="As the node of this systemd unit (router, @router2): its file, environment and user."
    ),
]

_entered: list[Unit] = []
"""The unit that this process acts for; at most one."""


def enter(file: Path | None, named: str | None) -> Path | None:
    """Take on the unit that is named, or whose node reads `file`. The configuration file to read.

    Raises `NotFound` for no such unit, `ConfigError` where a named unit's environment may not be read.
    """
    if env.supervised() or _entered:
        return _entered[0].config if named and _entered else file
    unit = unit_named(named, UNIT_DIRS) if named else unit_of(file, UNIT_DIRS) if file else None
    if unit is None:
        return file
    if os.geteuid() != 0 and named is None and unit.user is not None and not _readable(unit):
        return file  # whoever may not read it is told so when something is missing
    load_rules()
    Settings()  # reading a configuration imports its last part when first asked for; the unit's user need not see all that root does
    try:
        done = take_on(unit)
    except PermissionError as cause:
        raise ConfigError(_forbidden(unit, Path(cause.filename or "its environment"))) from cause
    _entered.append(unit)
    typer.echo(done, err=True)
    return unit.config if named else file


def entered() -> Unit | None:
    """The unit that this process acts for."""
    return _entered[0] if _entered else None


def advice(file: Path | None) -> str:
    """What to do when a variable is missing that a unit's environment has, which this user may not read."""
    unit = None if file is None or _entered or env.supervised() else unit_of(file, UNIT_DIRS)
    if unit is None or _readable(unit):
        return ""
    return _forbidden(unit, next((path for path, _ in unit.files), file or Path()))


def _readable(unit: Unit) -> bool:
    return all(os.access(path, os.R_OK) for path, optional in unit.files if not optional)


def _forbidden(unit: Unit, file: Path) -> str:
    return (
        f"{unit.name} has its environment from {file}, which only root may read: run this command as root. "
        f"It goes on as {unit.user or 'root'}."
    )
