"""From a file, the environment and flags to frozen settings.

Precedence: built-in default < file < environment < flags. Every problem is found before any is reported, each with
the file and line (or variable, or flag), the dotted path, and the nearest known key. Values are never shown: one of
them may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from tomlkit.exceptions import ParseError, TOMLKitError

from intellirouter.config import rules
from intellirouter.config.env import (
    CONFIG_FILE,
    OLLAMA_HOST,
    Environment,
    Override,
    expand,
    overrides,
    provider_keys,
)
from intellirouter.config.lines import key_lines, line_of
from intellirouter.config.problem import Problem, dotted
from intellirouter.config.schema.settings import Settings
from intellirouter.config.trust import check_found
from intellirouter.errors import ConfigError

KeyPath = tuple[str | int, ...]

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
    file: Path | None, environment: Environment, flags: Mapping[KeyPath, object] | None = None
) -> Loaded:
    """Read and check everything. Raises `ConfigError` that lists every problem."""
    reading = _Reading(environment)
    if file is not None:
        reading.read_file(file)
    for override in overrides(environment):
        reading.apply(override.path, override.value, override.variable, override)
    for path, value in (flags or {}).items():
        if value is not None:
            reading.apply(path, value, f"--{str(path[-1]).replace('_', '-')}", None)
    reading.add_environment_providers()
    settings = reading.validate()
    if settings is None or reading.problems:
        raise ConfigError("\n".join(map(str, reading.problems)), problems=tuple(map(str, reading.problems)))
    warnings, refusals = (
        tuple(reading.problem(path, message) for path, message in found)
        for found in (rules.warnings(settings), rules.refusals(settings))
    )
    return Loaded(settings, file, reading.sources, warnings, refusals)


class _Reading:
    """The raw values gathered so far, and what was wrong with them."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.raw: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[Problem] = []
        self._lines: dict[KeyPath, int] = {}
        self._file = ""

    def read_file(self, file: Path) -> None:
        """Parse the file and note the line of every key."""
        self._file = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as cause:
            raise ConfigError(f"{file}: cannot be read ({cause.strerror}).") from cause
        except UnicodeDecodeError as cause:
            raise ConfigError(f"{file}: is not UTF-8 text.") from cause
        try:
            self.raw = tomli.loads(
                text
            )  # thirty times as fast as tomlkit, which matters with thousands of keys
        except tomli.TOMLDecodeError as cause:
            raise _not_toml(file, text, cause) from cause
        self._lines = dict(key_lines(text))
        self.sources = {dotted(path): f"{file}:{line}" for path, line in self._lines.items()}
        self._expand(self.raw, ())

    def _expand(self, node: Any, path: KeyPath) -> Any:
        """Replace `${NAME}` in place, all the way down."""
        if isinstance(node, dict):
            for key, value in node.items():
                node[key] = self._expand(value, (*path, key))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                node[index] = self._expand(value, (*path, index))
        elif isinstance(node, str) and "${" in node:
            node, absent = expand(node, self.environment)
            for name in absent:
                self.problems.append(self.problem(path, f"the environment has no {name}."))
        return node

    def apply(self, path: KeyPath, value: object, source: str, override: Override | None) -> None:
        """Set one value from a variable or a flag."""
        node: Any = self.raw
        for part in path[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                self.problems.append(Problem(source, dotted(path), "does not name a table."))
                return
        node[path[-1]] = value
        self.sources[dotted(path)] = f"{source} in the environment" if override else source

    def add_environment_providers(self) -> None:
        """Vendors whose key the environment holds, and the local Ollama, unless the file names them."""
        registry = self.raw.setdefault("model_registry", {})
        if not isinstance(registry, dict) or registry.get("discover_environment", True) in (False, "false"):
            return
        providers = registry.setdefault("providers", [])
        if not isinstance(providers, list):
            return
        given = [provider for provider in providers if isinstance(provider, dict)]
        for index, provider in enumerate(given):
            self._resolve_key(provider, index)
        taken = {provider.get("name") for provider in given} | {provider.get("kind") for provider in given}
        for name, variable in provider_keys(self.environment):
            if name not in taken:
                self._add_provider(providers, variable, {"name": name, "api_key": self.environment[variable]})
        if not given and "ollama" not in taken:
            host = self.environment.get(OLLAMA_HOST) or "127.0.0.1:11434"
            endpoint = host if host.startswith("http") else f"http://{host}"
            entry = {"name": "ollama", "endpoint": endpoint, "options": {"optional": True}}
            self._add_provider(providers, OLLAMA_HOST if OLLAMA_HOST in self.environment else "", entry)

    def _add_provider(self, providers: list[Any], variable: str, entry: dict[str, Any]) -> None:
        path = dotted(("model_registry", "providers", len(providers)))
        self.sources[path] = f"{variable} in the environment" if variable else "default"
        providers.append(entry)

    def _resolve_key(self, provider: dict[str, Any], index: int) -> None:
        variable = provider.get("api_key_env")
        if not isinstance(variable, str) or provider.get("api_key"):
            return
        if self.environment.get(variable):
            provider["api_key"] = self.environment[variable]
            return
        path = ("model_registry", "providers", index, "api_key_env")
        self.problems.append(self.problem(path, f"the environment has no {variable}."))

    def validate(self) -> Settings | None:
        """The settings, or None with every problem noted."""
        try:
            settings = Settings.model_validate(self.raw)
        except ValidationError as failure:
            self.problems.extend(self._explain(error) for error in failure.errors(include_url=False))
            return None
        self.problems.extend(self.problem(path, message) for path, message in rules.errors(settings))
        return settings

    def _explain(self, error: ErrorDetails) -> Problem:
        path = tuple(error["loc"])
        if error["type"] == "extra_forbidden":
            known = sorted(_keys_at(path[:-1]))
            close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
            advice = f"Did you mean '{close[0]}'?" if close else f"Known keys: {', '.join(known)}."
            return self.problem(path, "is not a known key.", advice)
        if error["type"] == "missing":
            return self.problem(path, "is required.")
        message = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        return self.problem(path, message[:1].lower() + message[1:] + ("" if message.endswith(".") else "."))

    def problem(self, path: KeyPath, message: str, advice: str = "") -> Problem:
        """A problem with the best known place of `path`."""
        name = dotted(path)
        where = self.sources.get(name, "")
        if not where and (line := line_of(self._lines, path)) is not None:
            where = f"{self._file}:{line}"
        return Problem(where or self._file or "defaults", name, message, advice)


def _keys_at(path: KeyPath) -> Iterator[str]:
    """The keys that the table at `path` knows."""
    model: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return
        model = inner
    yield from model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section inside `Section`, `Section | None` or `tuple[Section, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None


def _not_toml(file: Path, text: str, cause: tomli.TOMLDecodeError) -> ConfigError:
    """What tomlkit says of it: unlike tomli's, its error has the line as a number."""
    try:
        tomlkit.parse(text)
    except ParseError as error:
        return ConfigError(f"{file}:{error.line}: is not TOML: {_tidy(error)}")
    except TOMLKitError as error:
        return ConfigError(f"{file}: is not TOML: {_tidy(error)}")
    return ConfigError(f"{file}: is not TOML: {cause}")


def _tidy(cause: Exception) -> str:
    """tomlkit's message without the position, which we print in front."""
    return str(cause).split(" at line ")[0].rstrip(".") + "."
