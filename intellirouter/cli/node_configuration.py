"""The configuration that a command works by, read as the node that it is of reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import typer

from intellirouter.app.rules import RULES
from intellirouter.cli.node_unit import advice, enter
from intellirouter.config import env
from intellirouter.config.checking import KeyPath
from intellirouter.config.load import LOCAL_FILE, Loaded, find_file, load
from intellirouter.config.sources.keeper import Keeper
from intellirouter.errors import ConfigError


def loader(
    config: Path | None, role_file: str, flags: Mapping[KeyPath, object] | None = None
) -> Callable[[], Loaded]:
    """A function that reads the configuration anew each time, for a start and for every reload.

    A file that was found where the user stands is named: it is not the same one elsewhere.
    """
    told, keeper = False, Keeper()

    def read() -> Loaded:
        nonlocal told
        environment = env.current()
        file = find_file(config, environment, role_file)
        if not told:
            tell_found(config, file)
            told = True
        return load(file, environment, flags, RULES, keeper)

    return read


def configured(config: Path | None, role_file: str, unit: str | None = None) -> Loaded:
    """The configuration of the node that a command looks at or works on, seen as that node sees it (`node_unit.py`).

    Raises `ConfigError` that lists every problem.
    """
    file = node_file(config, role_file, unit)
    try:
        return load(file, env.current(), None, RULES)
    except ConfigError as error:
        if (told := advice(file)) and "the environment has no" in error.message:
            problems = (*error.details.get("problems", (error.message,)), told)
            raise ConfigError("\n".join(problems), problems=problems) from error
        raise


def node_file(config: Path | None, role_file: str, unit: str | None = None) -> Path | None:
    """The configuration file of that node, after its unit was taken on. Raises `ConfigError`."""
    found = None if unit and config is None else find_file(config, env.current(), role_file)
    tell_found(config, found)
    return enter(found, unit)


def tell_found(config: Path | None, file: Path | None) -> None:
    """Name a file that was found where the user stands."""
    if file == LOCAL_FILE and config is None:
        typer.echo(f"configuration: {file.absolute()} (found here; --config names another)", err=True)
