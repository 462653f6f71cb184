"""Reads the secrets a configuration names, and keeps the last good value of each while its source is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from intellirouter.config.env import Environment
from intellirouter.config.schema.sources import SourcesSection
from intellirouter.config.sources.aws import Aws
from intellirouter.config.sources.local import read_credential, read_file, read_program, read_variable
from intellirouter.config.sources.reference import Reference, SourceFailed, Value
from intellirouter.config.sources.vault import Vault

RETRY_SECONDS = 10.0
LEAST_SECONDS = 0.5
"""Between two readings of a value, however short its source says that it holds."""
_LOCAL = frozenset({"env", "file", "credential", "exec"})


@dataclass(slots=True)
class Kept:
    """A secret as it was last read. `due`: when to look again (monotonic); `failing`: why that did not work."""

    value: Value
    due: float
    failing: str = ""


class Keeper:
    """The secrets of one process, from one reading of its configuration to the next."""

    def __init__(self) -> None:
        self._kept: dict[Reference, Kept] = {}
        self._used: set[Reference] = set()
        self._one = threading.Lock()
        self._section = SourcesSection()
        self._environment: Environment = {}
        self._vault = Vault(self._section.vault, {}, self._section.timeout)
        self._aws = Aws(self._section.aws, self._section.timeout, self._section.refresh_seconds)

    def begin(self, environment: Environment) -> None:
        """A new reading of the configuration."""
        with self._one:
            self._used = set()
            self._environment = environment

    def configure(self, raw: Any) -> None:
        """Take the raw `[secrets]`, whose own secrets were read."""
        with self._one:
            try:
                section = SourcesSection.model_validate(raw if isinstance(raw, Mapping) else {})
            except ValidationError:  # told of where the whole configuration is checked
                return
            if section != self._section:
                self._section = section
                self._aws = Aws(section.aws, section.timeout, section.refresh_seconds)
            self._vault = Vault(section.vault, self._environment, section.timeout)

    def read(self, place: Reference) -> str:
        """The secret as it is now, or as it last was while its source is away. Raises `SourceFailed`."""
        with self._one:
            self._used.add(place)
            kept = self._kept.get(place)
            try:
                value = self._fetch(place)
            except SourceFailed as failure:
                if kept is None:
                    raise
                kept.failing, kept.due = str(failure), time.monotonic() + RETRY_SECONDS
                return kept.value.text
            self._kept[place] = Kept(value, self._due(value))
            return value.text

    def read_local(self, place: Reference) -> str:
        """A secret that opens a source: of this machine. Raises `SourceFailed`."""
        if place.scheme not in _LOCAL:
            raise SourceFailed(
                "is what opens the sources of secrets: it must be of this machine (file, env, credential, exec)."
            )
        return self.read(place)

    def refresh(self) -> bool:
        """Look again at what is due; True where a secret is another now. Waits for the sources."""
        changed = False
        for place in self._due_now():
            with self._one:
                kept = self._kept.get(place)
                if kept is None:
                    continue
                try:
                    value = self._vault.renew(kept.value) if place.scheme == "vault" else None
                    value = value or self._fetch(place)
                except SourceFailed as failure:
                    kept.failing, kept.due = str(failure), time.monotonic() + RETRY_SECONDS
                    continue
                changed = changed or value.text != kept.value.text
                self._kept[place] = Kept(value, self._due(value))
        return changed

    def wait_seconds(self) -> float:
        """Until something is due; infinity where nothing ever is."""
        with self._one:
            return min((kept.due for kept in self._in_use()), default=float("inf")) - time.monotonic()

    def failing(self) -> list[str]:
        """What could not be read again, and why; the last good value serves meanwhile."""
        with self._one:
            return [
                f"{place}: {kept.failing}"
                for place, kept in self._kept.items()
                if kept.failing and place in self._used
            ]

    @property
    def names_any(self) -> bool:
        """Whether the configuration names a place at all."""
        return bool(self._used)

    def places(self) -> list[Reference]:
        """The places that the configuration names."""
        return sorted(self._used, key=str)

    def _in_use(self) -> list[Kept]:
        return [kept for place, kept in self._kept.items() if place in self._used]

    def _due_now(self) -> list[Reference]:
        now = time.monotonic()
        with self._one:
            return [place for place, kept in self._kept.items() if place in self._used and kept.due <= now]

    def _due(self, value: Value) -> float:
        most = self._section.refresh_seconds
        wait = most if value.seconds is None else max(LEAST_SECONDS, min(value.seconds, most))
        return time.monotonic() + wait

    def _fetch(self, place: Reference) -> Value:
        section = self._section
        match place.scheme:
            case "env":
                return read_variable(place, self._environment)
            case "file":
                return read_file(place, section.refresh_seconds)
            case "credential":
                return read_credential(place, self._environment)
            case "exec":
                return read_program(place, section.refresh_seconds, section.timeout)
            case "vault":
                return self._vault.read(place)
            case _:
                return self._aws.read(place)
