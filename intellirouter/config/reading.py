"""The raw values of a configuration, gathered from a file, the environment and flags, and where each came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from intellirouter.config.checking import KeyPath
from intellirouter.config.env import OLLAMA_HOST, Environment, expand, provider_keys
from intellirouter.config.lines import key_lines, line_of
from intellirouter.config.overlay import Overlay, laid_on
from intellirouter.config.problem import Problem, dotted
from intellirouter.config.schema.settings import Settings
from intellirouter.config.schema.sources import SourcesSection
from intellirouter.config.sources.keeper import Keeper
from intellirouter.config.sources.places import secret_places
from intellirouter.config.sources.reference import Reference, SourceFailed, reference, scheme_of
from intellirouter.config.toml_text import parse
from intellirouter.errors import ConfigError


class Reading:
    """What was read so far.

    `sources` has the place of each given value by dotted path, of values only and not of the tables that hold them:
    a table in the file says nothing of the keys it leaves out. `faulty` are the paths that a problem was told of;
    `referred` the variables that the configuration names.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.raw: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.faulty: list[KeyPath] = []
        self.referred: set[str] = set()
        self._lines: dict[KeyPath, int] = {}
        self._file = ""

    def read_file(self, file: Path) -> None:
        """Parse the file and note the line of every key. Raises `ConfigError` where it cannot be read at all."""
        self._file = str(file)
        try:
            text = file.read_text(encoding="utf-8").removeprefix(
                "\ufeff"
            )  # Notepad begins a file with a mark
        except OSError as cause:
            raise ConfigError(f"{file}: cannot be read ({cause.strerror}).") from cause
        except UnicodeDecodeError as cause:
            raise ConfigError(f"{file}: is not UTF-8 text.") from cause
        self.raw, syntax = parse(text)
        for wrong in syntax:
            self.problems.append(Problem(f"{file}:{wrong.line}", "", wrong.message, wrong.advice))
        self._lines = dict(key_lines(text))
        for path in _leaves(self.raw, ()):
            self.sources[dotted(path)] = f"{file}:{line_of(self._lines, path)}"
        self._expand(self.raw, ())

    def lay_on(self, overlay: Overlay) -> None:
        """Put settings made at run time on top of the file. A program that they name is not run: only the file has some run."""
        overlay = deepcopy(dict(overlay))
        for path in _leaves(overlay, ()):
            self.sources[dotted(path)] = "settings made at run time"
        for path, container, key in list(secret_places(overlay, Settings)):
            if scheme_of(container[key]) == "exec":
                container[key] = ""
                self._fault(path, "names a program to run: that is set in the file, not at run time.")
        self.raw = laid_on(self.raw, overlay)

    def _expand(self, node: Any, path: KeyPath) -> Any:
        """Replace `${NAME}` in place, all the way down."""
        if isinstance(node, dict):
            for key, value in node.items():
                node[key] = self._expand(value, (*path, key))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                node[index] = self._expand(value, (*path, index))
        elif isinstance(node, str) and "${" in node:
            node, used, absent = expand(node, self.environment)
            self.referred.update(used)
            for name in absent:
                self._fault(path, f"the environment has no {name}.")
        return node

    def apply(self, path: KeyPath, value: object, source: str) -> None:
        """Set one value from a variable or a flag."""
        node: Any = self.raw
        for part in path[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                self.problems.append(Problem(source, dotted(path), "does not name a table."))
                return
        node[path[-1]] = value
        name = dotted(path)
        for given in [other for other in self.sources if other.startswith((f"{name}.", f"{name}["))]:
            del self.sources[given]
        self.sources[name] = source

    def read_secrets(self, keeper: Keeper) -> None:
        """Put what the sources say in place of the secrets that only name one. Those that open sources come first."""
        keeper.begin(self.environment)
        own = self.raw.get("secrets")
        if isinstance(own, dict):
            self._read_at(own, SourcesSection, ("secrets",), keeper.read_local)
        keeper.configure(own)
        self._read_at({k: v for k, v in self.raw.items() if k != "secrets"}, Settings, (), keeper.read)

    def _read_at(self, raw: Any, kind: Any, above: KeyPath, read: Callable[[Reference], str]) -> None:
        for path, container, key in list(secret_places(raw, kind, above)):
            try:
                named = reference(container[key])
                if named is not None:
                    container[key] = f"{named}"
                    container[key] = read(named)
            except SourceFailed as failure:
                told = (
                    f"{container[key]} cannot be read: {failure}."
                    if isinstance(container[key], str)
                    else str(failure)
                )
                self._fault(path, told)

    def add_environment_providers(self) -> None:
        """Vendors whose key the environment holds, and the local Ollama, unless the file names them.

        Ollama is looked for when no provider is configured, or when `OLLAMA_HOST` says where it is.
        """
        registry = self.raw.setdefault("model_registry", {})
        if not isinstance(registry, dict):
            return
        providers = registry.setdefault("providers", [])
        if not isinstance(providers, list):
            return
        given = [provider for provider in providers if isinstance(provider, dict)]
        for index, provider in enumerate(providers):
            if isinstance(provider, dict):
                self._resolve_key(provider, index)
        if registry.get("discover_environment", True) in (False, "false"):
            return
        taken = {provider.get("name") for provider in given} | {provider.get("kind") for provider in given}
        for name, variable in provider_keys(self.environment):
            if name not in taken:
                self._add_provider(providers, variable, {"name": name, "api_key": self.environment[variable]})
        named = self.environment.get(OLLAMA_HOST)
        if "ollama" not in taken and (named or not given):
            host = named or "127.0.0.1:11434"
            endpoint = host if host.startswith("http") else f"http://{host}"
            entry = {"name": "ollama", "endpoint": endpoint, "options": {"optional": True}}
            self._add_provider(providers, OLLAMA_HOST if named else "", entry)

    def _add_provider(self, providers: list[Any], variable: str, entry: dict[str, Any]) -> None:
        if variable:
            path = dotted(("model_registry", "providers", len(providers)))
            self.sources[path] = f"{variable} in the environment"
        providers.append(entry)

    def _resolve_key(self, provider: dict[str, Any], index: int) -> None:
        variable = provider.get("api_key_env")
        if not isinstance(variable, str) or provider.get("api_key"):
            return
        self.referred.add(variable)
        path: KeyPath = ("model_registry", "providers", index)
        if self.environment.get(variable):
            provider["api_key"] = self.environment[variable]
            self.sources[dotted((*path, "api_key"))] = f"{variable} in the environment"
            return
        self._fault((*path, "api_key_env"), f"the environment has no {variable}.")

    def _fault(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.problem(path, message))
        self.faulty.append(path)

    def problem(self, path: KeyPath, message: str, advice: str = "") -> Problem:
        """A problem with the best known place of `path`."""
        name = dotted(path)
        where = self.sources.get(name, "")
        if not where and (line := line_of(self._lines, path)) is not None:
            where = f"{self._file}:{line}"
        if not where:  # a table that stands in no file: whoever named what is in it
            within = (f"{name}.", f"{name}[")
            where = next((place for given, place in self.sources.items() if given.startswith(within)), "")
        return Problem(where or self._file or "defaults", name, message, advice)

    def in_order(self, problems: Iterable[Problem]) -> list[Problem]:
        """By line in the file, then those of the environment and of flags; each once."""

        def place(problem: Problem) -> tuple[bool, int]:
            file, _, line = problem.where.rpartition(":")
            return (file != self._file, int(line) if line.isdecimal() else 0)

        return sorted(dict.fromkeys(problems), key=place)


def _leaves(node: Any, path: KeyPath) -> Iterable[KeyPath]:
    """The path of every given value: of tables and lists what is in them, of empty ones themselves."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(node, dict):
        inner = node.items()
    elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
        inner = enumerate(node)
    found = False
    for key, value in inner:
        found = True
        yield from _leaves(value, (*path, key))
    if not found and path:
        yield path
