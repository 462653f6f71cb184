"""The systemd unit that runs a node, so that a command by hand sees what the node sees.

A node's secrets stand in its unit's environment files, which only root may read, and its data belongs to the unit's user.
A command started as root on a unit's configuration file therefore takes both: the environment, then the user. The unit's
files are read rather than systemd asked, so that this holds on a machine whose systemd does not answer.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from intellirouter.config import env
from intellirouter.errors import ConfigError, NotFound

UNIT_DIRS = tuple(
    Path(directory)
    for directory in (
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    )
)
PREFIX = "intellirouter"


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit says of how its node runs. `files` are its environment files, each with whether it may be absent."""

    name: str
    config: Path | None = None
    role: str | None = None
    user: str | None = None
    files: tuple[tuple[Path, bool], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    open_files: int | None = None

    def environment(self) -> dict[str, str]:
        """What the unit gives its node. Raises `PermissionError` where this user may not read it."""
        given = dict(self.variables)
        for file, optional in self.files:
            try:
                given |= parse_environment(file.read_text(encoding="utf-8", errors="replace"))
            except FileNotFoundError:
                if not optional:
                    raise ConfigError(f"{file}: the environment file of {self.name} is not there.") from None
        return given


def unit_of(config: Path, directories: tuple[Path, ...] = UNIT_DIRS) -> Unit | None:
    """The unit whose node reads this file, or None. One of its own comes before an instance of a template."""
    wanted = Path(os.path.realpath(config))
    for name in _names(directories):
        full = name.replace("@.", f"@{config.stem}.")
        unit = _read(full, directories)
        if unit is not None and unit.config is not None and Path(os.path.realpath(unit.config)) == wanted:
            return unit
    return None


def unit_named(name: str, directories: tuple[Path, ...] = UNIT_DIRS) -> Unit:
    """By its whole name, or what follows `intellirouter-`: `router`, `@router2`. Raises `NotFound`."""
    plain = name.removesuffix(".service")
    tries = (plain, f"{PREFIX}-{plain}", f"{PREFIX}{plain}", f"{PREFIX}@{plain}")
    for full in tries:
        unit = _read(f"{full}.service", directories)
        if unit is not None and unit.config is not None:
            return unit
    known = ", ".join(_names(directories)) or "none"
    raise NotFound(f"There is no unit '{name}' that runs a node. Units of IntelliRouter here: {known}.")


def _names(directories: tuple[Path, ...]) -> list[str]:
    """The files of our units, templates last."""
    found = {file.name for directory in directories for file in _listed(directory, f"{PREFIX}*.service")}
    return sorted(found, key=lambda name: ("@" in name, name))


def _listed(directory: Path, pattern: str) -> list[Path]:
    try:
        return sorted(directory.glob(pattern))
    except OSError:
        return []


def _read(full: str, directories: tuple[Path, ...]) -> Unit | None:
    """A unit with its drop-ins, as systemd puts them together; None where there is no file of it."""
    stem, _, _ = full.removesuffix(".service").partition("@")
    instance = full.removesuffix(".service").partition("@")[2]
    names = [full] if not instance else [full, f"{stem}@.service"]
    main = next((d / name for name in names for d in directories if (d / name).is_file()), None)
    if main is None:
        return None
    parts = [main]
    parts += [
        file
        for name in names
        for directory in directories
        for file in _listed(directory / f"{name}.d", "*.conf")
    ]
    settings: dict[str, list[str]] = {}
    for part in parts:
        for key, value in _service_lines(part):
            if value:
                settings.setdefault(key, []).append(value)
            else:  # an empty one takes back what stood before
                settings[key] = []
    return _unit(full, instance, settings)


def _unit(name: str, instance: str, settings: Mapping[str, list[str]]) -> Unit:
    def all_of(key: str) -> list[str]:
        return [value.replace("%i", instance).replace("%I", instance) for value in settings.get(key, [])]

    def last(key: str) -> str | None:
        values = all_of(key)
        return values[-1] if values else None

    variables: dict[str, str] = {}
    for line in all_of("Environment"):
        variables |= dict(pair.split("=", 1) for pair in shlex.split(line) if "=" in pair)
    words = shlex.split(last("ExecStart") or "")
    runs = "run" in words
    config = _option(words, "--config", "-c") if runs else None
    limit = (last("LimitNOFILE") or "").partition(":")[0]
    return Unit(
        name=name,
        config=Path(config) if config else None,
        role=_option(words, "--role", "-r") if runs else None,
        user=last("User"),
        files=tuple(
            (Path(value.removeprefix("-")), value.startswith("-")) for value in all_of("EnvironmentFile")
        ),
        variables=variables,
        open_files=int(limit) if limit.isdecimal() else None,
    )


def _option(words: list[str], *names: str) -> str | None:
    for position, word in enumerate(words):
        if word in names and position + 1 < len(words):
            return words[position + 1]
        for name in names:
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
    return None


def _service_lines(file: Path) -> Iterator[tuple[str, str]]:
    """The keys of `[Service]`, continued lines joined."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
        if bare.startswith("["):
            section = bare
        elif section == "[Service]" and "=" in bare and bare[0] not in "#;":
            key, _, value = bare.partition("=")
            yield key.strip(), value.strip()


def parse_environment(text: str) -> dict[str, str]:
    """An environment file as systemd reads it: `NAME=value` a line, quotes taken off, `#` and `;` begin a comment line."""
    found = {}
    for line in text.replace("\\\n", "").splitlines():
        bare = line.strip()
        given = re.match(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)$", bare)
        if given is None:
            continue
        name, value = given.group(1), given.group(2).strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
            if bare.endswith('"'):
                value = re.sub(r'\\(["\\$`])', r"\1", value)
        found[name] = value
    return found


def take_on(unit: Unit) -> str:
    """Make this process see what the unit's node sees: its environment, then, as root, its user. What was done, in words.

    Raises `PermissionError` where the environment may not be read, `ConfigError` where the user does not exist.
    """
    given = unit.environment()
    told = [f"the environment of {unit.name}"]
    account = None
    if unit.user is not None and os.geteuid() == 0 and unit.user != "root":
        try:
            account = pwd.getpwnam(unit.user)
        except KeyError:
            raise ConfigError(f"{unit.name}: there is no user '{unit.user}' on this machine.") from None
        given |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
        told.append(f"its user {account.pw_name}")
    env.take_on(given)
    if account is not None:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    return f"with {' and '.join(told)}"
