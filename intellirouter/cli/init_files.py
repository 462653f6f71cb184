"""The two files that `init` writes, checked as a node would check them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from intellirouter.app.rules import RULES
from intellirouter.config import env
from intellirouter.config.load import Loaded, load
from intellirouter.errors import InvalidRequest
from intellirouter.inference.provider import provider_of
from intellirouter.inference.virtual_keys import new_secret
from intellirouter.ops.diagnose.finding import Level
from intellirouter.ops.diagnose.providers import examine_provider
from intellirouter.providers.table import ADAPTERS
from intellirouter.security.api_keys import hash_key
from intellirouter.transport.choose import make_transport

TRY_SECONDS = 10.0
_KEY = re.compile(r"[\x21\x23\x25-\x26\x28-\x5b\x5d-\x5f\x61-\x7e]{1,4096}")
"""What a shell and systemd both read as it stands within single quotes."""


_HEAD = """# IntelliRouter's configuration, made by `intellirouter init`. Secrets stand in intellirouter.env beside it.
# Every key and what it does: config/REFERENCE.md. What does not hold: `intellirouter validate-config`.

# production: JSON logs, and no secret that everybody knows."""
_LISTENS = "# Where the Router listens. Other machines reach it at 0.0.0.0, this one alone at 127.0.0.1."


@dataclass(frozen=True, slots=True)
class Provider:
    """One that was chosen: the variable of its key, empty where it has none."""

    name: str
    variable: str
    key: str = field(repr=False)
    endpoint: str | None = None


@dataclass(frozen=True)
class Answers:
    """What was answered."""

    providers: list[Provider]
    host: str
    port: int
    data_dir: Path | None
    production: bool
    client_key: bool
    backups: str

    @cached_property
    def key(self) -> str:
        """A new key for clients; empty where none is wanted."""
        return new_secret() if self.client_key else ""


def toml_file(answers: Answers) -> str:
    """The configuration, with a word on each part."""
    parts = [
        f"{_HEAD}\nenvironment = {_text('production' if answers.production else 'development')}",
        f"{_LISTENS}\n[server]\nhost = {_text(answers.host)}\nport = {answers.port}",
    ]
    if answers.data_dir is not None:
        parts.append(f"# What must not be lost.\n[paths]\ndata_dir = {_text(str(answers.data_dir))}")
    for provider in answers.providers:
        lines = ["[[model_registry.providers]]", f"name = {_text(provider.name)}"]
        if provider.endpoint is not None:
            lines += ['kind = "openai_compatible"', f"endpoint = {_text(provider.endpoint)}"]
        if provider.variable:
            lines.append(f"api_key_env = {_text(provider.variable)}")
        parts.append("\n".join(lines))
    if not answers.providers:
        parts.append(
            "# Who answers. Without one the built-in offline model does.\n"
            '#[[model_registry.providers]]\n#name = "openai"\n#api_key_env = "OPENAI_API_KEY"'
        )
    if answers.key:
        parts.append(
            "# Clients give a key; here it is known by its hash alone. `intellirouter keys create` makes more.\n"
            f'[auth]\nenabled = true\n\n[[auth.keys]]\nname = "first"\nsha256 = "{hash_key(answers.key)}"\nscopes = ["admin"]'
        )
    if answers.backups:
        parts.append(
            "# A backup every night, by the node itself.\n"
            f'[backup]\nto = {_text(answers.backups)}\nschedule = "30 3 * * *"'
        )
    return "\n\n".join(parts) + "\n"


def env_file(answers: Answers) -> str:
    """The variables, as a shell and systemd read them. Raises `InvalidRequest` for what is no key."""
    lines = [
        "# Secrets of intellirouter.toml: `set -a; . intellirouter.env`, or EnvironmentFile= of systemd. Mode 0600."
    ]
    for provider in answers.providers:
        if provider.variable:
            if not _KEY.fullmatch(provider.key):
                raise InvalidRequest(
                    f"The key of {provider.name} is none: it holds a character that no key has."
                )
            lines.append(f"{provider.variable}='{provider.key}'")
    return "\n".join(lines) + "\n"


def valid(text: str, environment: str) -> Loaded:
    """The configuration as a node would read it. Raises `ConfigError`."""
    values = dict(line.partition("=")[::2] for line in environment.splitlines() if not line.startswith("#"))
    plain = {name: value.strip("'") for name, value in values.items()}
    with tempfile.TemporaryDirectory(prefix="intellirouter-init-") as scratch:
        file = Path(scratch) / "intellirouter.toml"
        file.write_text(text, encoding="utf-8")
        return load(file, {**env.for_child(), **plain}, None, RULES).startable()


def keys_tried(loaded: Loaded, named: list[str], say: Callable[[str], None]) -> int:
    """Ask every provider for its models, which costs nothing; how many cannot be used."""
    sections = [section for section in loaded.settings.model_registry.providers if section.name in named]

    async def run() -> int:
        transport = make_transport("fast", max_connections=4)
        refused = 0
        try:
            for section in sections:
                for finding in await examine_provider(provider_of(section, ADAPTERS), transport, TRY_SECONDS):
                    refused += finding.level is Level.PROBLEM
                    say(f"  {finding.name}: {finding.message}")
        finally:
            await transport.aclose()
        return refused

    return asyncio.run(run())


def written(file: Path, text: str, mode: int, *, replace: bool) -> None:
    """Whole or not at all, and never readable for others on the way. Raises `OSError`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.partial")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    part.chmod(mode)
    part.replace(file) if replace else file.hardlink_to(part)


def _text(value: str) -> str:
    """A basic string of TOML, which JSON's strings are too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
