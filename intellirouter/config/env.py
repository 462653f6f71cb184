"""The one door to the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli

Environment = Mapping[str, str]

PREFIX = "INTELLIROUTER__"
CONFIG_FILE = "INTELLIROUTER_CONFIG"
_SHORT: dict[str, tuple[str, ...]] = {
    "INTELLIROUTER_ENVIRONMENT": ("environment",),
    "ORCHESTRATOR_MODE": ("chain_engine", "mode"),
}
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

KEY_VARIABLES: tuple[tuple[str, str], ...] = (
    ("OPENAI_API_KEY", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic"),
    ("GOOGLE_API_KEY", "google"),
    ("GEMINI_API_KEY", "google"),
    ("MISTRAL_API_KEY", "mistral"),
    ("HF_TOKEN", "huggingface"),
)
"""Variables that hold a vendor's key, and the provider each stands for."""

OLLAMA_HOST = "OLLAMA_HOST"
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_CREDENTIAL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Override:
    """One variable that sets one configuration value."""

    variable: str
    path: tuple[str, ...]
    value: Any


def current() -> Environment:
    """The environment of this process, and what systemd's credentials add to it (systemd.exec(5), LoadCredential=).

    A credential is a file in `CREDENTIALS_DIRECTORY` that is named like a variable; a variable of that name holds before it.
    """
    return {**_credentials(), **os.environ}


_CHILD_NEEDS = frozenset(
    """PATH HOME USER LOGNAME LANG LANGUAGE TZ TMPDIR XDG_CACHE_HOME XDG_RUNTIME_DIR LD_LIBRARY_PATH VIRTUAL_ENV
    PYTHONPATH PYTHONHOME PYTHONUNBUFFERED OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS
    MALLOC_ARENA_MAX""".split()
)


def for_child(*, prefix: str = "LC_") -> Environment:
    """What a process that this one starts is told: how to run, and none of the keys, passwords and tokens of this one.

    `prefix` names the variables of the program's own that it needs besides.
    """
    kept = (*_CHILD_NEEDS, *(name for name in os.environ if name.startswith(("LC_", prefix))))
    return {name: os.environ[name] for name in kept if name in os.environ}


def take_on(values: Environment) -> None:
    """Let this process be told `values`, and of its own nothing that would change a configuration."""
    ours = {name for name, _ in KEY_VARIABLES} | {OLLAMA_HOST}
    for name in list(os.environ):
        if name in ours or name.startswith("INTELLIROUTER"):
            del os.environ[name]
    os.environ.update(values)


def wants_traceback() -> bool:
    """Whether whoever calls wants to see where a command failed."""
    return bool(os.environ.get("INTELLIROUTER_TRACEBACK"))


def completing() -> bool:
    """Whether a shell asks what fits behind the words that were typed (`cli/completing.py`)."""
    return "_INTELLIROUTER_COMPLETE" in os.environ


def supervised() -> bool:
    """Whether systemd started this process: it has given it the unit's environment."""
    return "INVOCATION_ID" in os.environ and "JOURNAL_STREAM" in os.environ


def editor() -> str:
    """The user's editor, as a command line."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


def overrides(environment: Environment) -> list[Override]:
    """`INTELLIROUTER__SECTION__KEY=value`, and the short forms of the deployment guide.

    A value that reads as a TOML array or table is one; any other is text, and the section's types convert it.
    """
    found = []
    for variable in sorted(environment):
        path = _SHORT.get(variable)
        if path is None and variable.startswith(PREFIX):
            path = tuple(part.lower() for part in variable.removeprefix(PREFIX).split("__"))
        if path is not None:
            found.append(Override(variable, path, _read(environment[variable])))
    return found


def _read(value: str) -> Any:
    if not value.startswith(("[", "{")):
        return value
    try:
        return tomli.loads(f"value = {value}")["value"]
    except tomli.TOMLDecodeError:
        return value


def _credentials() -> Environment:
    folder = os.environ.get(_CREDENTIALS)
    if not folder:
        return {}
    found = {}
    for file in Path(folder).iterdir() if Path(folder).is_dir() else ():
        if _VARIABLE.fullmatch(file.name) and file.stat().st_size <= _CREDENTIAL_BYTES:
            found[file.name] = file.read_text(encoding="utf-8").rstrip("\n")
    return found


def expand(value: str, environment: Environment) -> tuple[str, list[str], list[str]]:
    """`value` with `${NAME}` and `${NAME:-default}` replaced, the names it uses, and those that are not set."""
    used: list[str] = []
    absent: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        used.append(name)
        if name in environment:
            return environment[name]
        if default is None:
            absent.append(name)
            return ""
        return str(default)

    return _REFERENCE.sub(replace, value), used, absent


def provider_keys(environment: Environment) -> list[tuple[str, str]]:
    """(provider, variable) for each vendor whose key is set, each vendor once."""
    found: dict[str, str] = {}
    for variable, provider in KEY_VARIABLES:
        if environment.get(variable):
            found.setdefault(provider, variable)
    return list(found.items())


def service_manager() -> Environment:
    """What systemd tells a service it supervises: where to report, and how often. Empty where there is none."""
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    return {name: os.environ[name] for name in names if name in os.environ}


def journal_stream() -> str:
    """Device and inode of the stream to the journal that systemd gave this service: `8:12345`. Empty where there is none."""
    return os.environ.get("JOURNAL_STREAM", "")


def collector() -> Environment:
    """What OpenTelemetry's own variables say of the collector that takes logs: `CERTIFICATE`, a file, and `HEADERS`, as `a=b,c=d`."""
    found: dict[str, str] = {}
    for what in ("CERTIFICATE", "HEADERS"):
        for name in (f"OTEL_EXPORTER_OTLP_LOGS_{what}", f"OTEL_EXPORTER_OTLP_{what}"):
            if os.environ.get(name):
                found.setdefault(what, os.environ[name])
    return found
