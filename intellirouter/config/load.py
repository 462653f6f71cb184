"""From a file, the environment and flags to frozen settings.

Precedence: built-in default < file < environment < flags. Every problem is found before any is reported, each with
the file and line (or variable, or flag), the dotted path, and the nearest known key. Values are never shown: one of
them may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from intellirouter.config import misspelt, rules, unwise
from intellirouter.config.checking import KeyPath, Rule, check
from intellirouter.config.env import CONFIG_FILE, Environment, overrides
from intellirouter.config.overlay import Overlay
from intellirouter.config.problem import Problem
from intellirouter.config.reading import Reading
from intellirouter.config.schema.settings import Settings
from intellirouter.config.sources.keeper import Keeper
from intellirouter.config.trust import check_found
from intellirouter.errors import ConfigError

LOCAL_FILE = Path("config/intellirouter.toml")
INSTALLED_DIR = Path("/opt/intellirouter/config")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Valid settings, where each given value came from (dotted path to source), and what to warn of.

    `refusals` keep a node from starting, and no other command from reading the configuration.
    """

    settings: Settings
    file: Path | None
    sources: Mapping[str, str]
    warnings: tuple[Problem, ...]
    refusals: tuple[Problem, ...] = ()
    keeper: Keeper = field(default_factory=Keeper)
    again: Callable[[Overlay], Loaded] | None = field(default=None, compare=False)
    """Reads the same anew, with settings made at run time on top of the file. Raises `ConfigError`."""

    def startable(self) -> Loaded:
        """This, for a node that starts or takes it over. Raises `ConfigError` that lists every refusal."""
        if self.refusals:
            problems = tuple(map(str, self.refusals))
            raise ConfigError("\n".join(problems), problems=problems)
        return self

    def source_of(self, path: str) -> str:
        """The source of a dotted path: its own, or that of the nearest given table above it."""
        while path:
            if path in self.sources:
                return self.sources[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return "default"


def find_file(given: Path | None, environment: Environment, role_file: str) -> Path | None:
    """`--config`, then `INTELLIROUTER_CONFIG`, `./config/intellirouter.toml`, the installed role's file.

    Raises `ConfigError` when what lies in `./config` may be somebody else's.
    """
    if given is not None:
        return given
    if named := environment.get(CONFIG_FILE):
        return Path(named)
    if LOCAL_FILE.is_file():
        check_found(LOCAL_FILE)
        return LOCAL_FILE
    installed = INSTALLED_DIR / role_file
    return installed if installed.is_file() else None


def load(
    file: Path | None,
    environment: Environment,
    flags: Mapping[KeyPath, object] | None = None,
    more_rules: Sequence[Rule] = (),
    keeper: Keeper | None = None,
    overlay: Overlay | None = None,
) -> Loaded:
    """Read and check everything, by `more_rules` too. `keeper` is that of the reading before; `overlay` lies on the file. Raises `ConfigError` that lists every problem."""
    loaded, problems = look(file, environment, flags, more_rules, keeper, overlay)
    if loaded is None or problems:
        told = tuple(map(str, problems))
        raise ConfigError("\n".join(told), problems=told)

    def again(more: Overlay) -> Loaded:
        return load(file, environment, flags, more_rules, loaded.keeper, more)

    return replace(loaded, again=again)


def look(
    file: Path | None,
    environment: Environment,
    flags: Mapping[KeyPath, object] | None = None,
    more_rules: Sequence[Rule] = (),
    keeper: Keeper | None = None,
    overlay: Overlay | None = None,
) -> tuple[Loaded | None, list[Problem]]:
    """Every problem, and what holds besides: whatever has a problem is left out of it. Raises `ConfigError` for no file."""
    reading, keeper = Reading(environment), keeper or Keeper()
    if file is not None:
        reading.read_file(file)
    if overlay:
        reading.lay_on(overlay)
    for override in overrides(environment):
        reading.apply(override.path, override.value, f"{override.variable} in the environment")
    for path, value in (flags or {}).items():
        if value is not None:
            reading.apply(path, value, _flag(path))
    reading.read_secrets(keeper)
    reading.add_environment_providers()
    settings, faults = check(reading.raw, (rules.errors, *more_rules), reading.faulty, (rules.refusals,))
    problems = reading.in_order([*reading.problems, *(reading.problem(*fault) for fault in faults)])
    if settings is None:
        return None, problems
    warnings, refusals = (
        tuple(reading.problem(path, message) for path, message in found)
        for found in (chain(rules.warnings(settings), unwise.warnings(settings)), rules.refusals(settings))
    )
    misread = misspelt.warnings(environment, reading.referred)
    return Loaded(settings, file, reading.sources, (*warnings, *misread), refusals, keeper), problems


def _flag(path: KeyPath) -> str:
    """How a key is called on the command line."""
    words = ("port", path[1]) if path[0] == "roles" else path[-1:]
    return "--" + "-".join(map(str, words)).replace("_", "-")
