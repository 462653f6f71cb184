"""An `orchestrator.yaml` of LLM-Orchestrator read into our settings: what each of its lines becomes, or why it becomes nothing.

Source: "LLM-Orchestrator Deployment Guide" 1.0, Configuration File Structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import tomlkit

from intellirouter.bounds import yamls
from intellirouter.errors import InvalidRequest

MAX_CHARACTERS = 1_000_000
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)?")
_NUMBER = re.compile(r"\d{1,12}\.\d{1,12}")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LEVELS = {"trace": "debug", "warn": "warning"}
_HOOKS = {
    "llm_test_bench": ("test-bench", "evaluate", "TEST_BENCH_SECRET"),
    "llm_auto_optimizer": ("auto-optimizer", "optimise", "AUTO_OPTIMIZER_SECRET"),
    "llm_governance": ("governance", "govern", "GOVERNANCE_SECRET"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the file: `key` is its dotted path, `becomes` our setting, empty where it is not taken; `note` says why, or what to mind."""

    line: int
    key: str
    becomes: str
    note: str = ""


@dataclass(slots=True)
class Imported:
    """Our settings as nested tables, and what was made of every line."""

    settings: dict[str, Any] = field(default_factory=dict)
    lines: list[Told] = field(default_factory=list)

    def toml(self) -> str:
        """The settings as a file."""
        return tomlkit.dumps(self.settings)


def same(value: Any) -> Any:
    """As it stands."""
    return value


def seconds(value: Any) -> float:
    """`30s`, `1h` or a number. Raises `ValueError`."""
    found = _DURATION.fullmatch(str(value))
    if found is None:
        raise ValueError("is no duration such as 30s")
    number = float(found[1]) * _UNITS[found[2] or "s"]
    return int(number) if number.is_integer() else number


def _level(value: Any) -> str:
    return _LEVELS.get(str(value), str(value))


def _format(value: Any) -> str:
    return "json" if value == "json" else "console"


TAKEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "server.mode": ("chain_engine.mode", same),
    "server.host": ("server.host", same),
    "server.port.http": ("server.port", int),
    "server.tls.cert_file": ("server.tls.certificate", same),
    "server.tls.key_file": ("server.tls.key", same),
    "database.migrations.auto_run": ("chain_engine.auto_migrate", bool),
    "cache.ttl": ("cache.ttl", seconds),
    "execution.scheduler.max_parallel_workflows": ("chain_engine.max_running", int),
    "execution.scheduler.task_queue_size": ("chain_engine.max_line", int),
    "execution.executor.task_timeout": ("chain_engine.default_timeout_seconds", seconds),
    "observability.logging.level": ("telemetry.log_level", _level),
    "observability.logging.format": ("telemetry.log_format", _format),
    "observability.metrics.enabled": ("telemetry.metrics_enabled", bool),
    "observability.tracing.enabled": ("telemetry.tracing_enabled", bool),
    "observability.tracing.sample_rate": ("telemetry.trace_sample_rate", float),
    "security.authentication.enabled": ("auth.enabled", bool),
    "security.audit.level": ("auth.audit.level", same),
}
"""Their key → ours, and how its value is read."""

LEFT: dict[str, str] = {
    "server.port.grpc": "clients speak HTTP; between roles see [ipc] protocol",
    "server.tls.enabled": "TLS is on where [server.tls] is there",
    "database.type": "the address says it",
    "database.pool": "a node opens what it needs, twenty connections at most",
    "cache.type": "the address says it",
    "cache.pool_size": "connections are opened as they are needed",
    "execution.scheduler.scheduling_interval": "runs are started when there is room, not by an interval",
    "execution.executor": "one process walks many runs at once: see chain_engine.max_parallel_calls",
    "execution.resources": "limits are the supervisor's: systemd or Kubernetes, see packaging/",
    "fault_tolerance.checkpoint": "every step is recorded when it ends; for a copy elsewhere see [backup]",
    "fault_tolerance.retry": "belongs into a chain: defaults: {retry: {attempts, delay, factor, max}}",
    "fault_tolerance.circuit_breaker": "every target and every place that steps ask has a circuit",
    "integrations.llm_forge": "models are asked directly: [[model_registry.providers]]",
    "observability.logging.output": "standard error, or telemetry.log_file",
    "observability.metrics": "/metrics is served on the node's own port",
    "observability.tracing": "spans go to a collector by OTLP: set telemetry.otlp_endpoint",
    "security.authentication": "keys of [auth], people who sign in, or [[auth.oidc]]: see IDENTITY.md",
    "security.authorization": "roles and permissions are of another form: see IDENTITY.md",
    "security.audit": "kept in files: see [auth.audit]",
}
"""Their key, or what is above it → why it is not taken."""


def imported(text: str) -> Imported:
    """Read a file. Raises `InvalidRequest` where it is no YAML, or no mapping."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest(f"The file is longer than {MAX_CHARACTERS:,} characters.")
    try:
        found = yamls.read(text, _scalar)
    except yamls.BadYaml as error:
        raise InvalidRequest(
            f"This is not YAML that can be read: line {error.line}: {error.message}"
        ) from error
    if not isinstance(found.data, dict) or not found.data:
        raise InvalidRequest("The file holds no settings: it is not a mapping.")
    made = Imported()
    for path, value in _leaves(found.data, ()):
        made.lines.append(_take(made.settings, found.lines.get(path, 0), ".".join(path), value))
    return made


def _leaves(data: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _scalar(text: str, plain: bool) -> Any:
    if not plain:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "~", "null"):
        return None
    if text.isdecimal():
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _take(settings: dict[str, Any], line: int, key: str, value: Any) -> Told:
    special = _special(settings, line, key, value)
    if special is not None:
        return special
    if key in TAKEN:
        ours, read = TAKEN[key]
        try:
            _put(settings, ours, read(value))
        except (TypeError, ValueError) as error:
            return Told(line, key, "", str(error) if "duration" in str(error) else "has no such value")
        return Told(line, key, ours)
    above = key
    while above:
        if above in LEFT:
            return Told(line, key, "", LEFT[above])
        above = above.rpartition(".")[0]
    return Told(line, key, "", "is not known")


def _special(settings: dict[str, Any], line: int, key: str, value: Any) -> Told | None:
    if key == "database.url":
        if not str(value).startswith(("postgres://", "postgresql://")):
            return Told(line, key, "", "a node's own file is chains.db in paths.data_dir")
        _put(settings, "chain_engine.database_url", value)
        return Told(line, key, "chain_engine.database_url", "put the password into a variable: ${NAME}")
    if key == "cache.url":
        _put(settings, "memory.backend_type", "redis")
        _put(settings, "memory.redis_url", value)
        return Told(line, key, "memory.redis_url")
    if key == "security.audit.enabled" and value is False:
        _put(settings, "auth.audit.level", "off")
        return Told(line, key, "auth.audit.level")
    if key.startswith("integrations.llm_forge.api_keys."):
        name = key.rpartition(".")[2]
        providers = settings.setdefault("model_registry", {}).setdefault("providers", [])
        providers.append({"name": name, "api_key": value})
        return Told(line, key, "model_registry.providers")
    parts = key.split(".")
    if len(parts) != 3 or parts[0] != "integrations" or parts[1] not in _HOOKS:
        return None
    name, kind, variable = _HOOKS[parts[1]]
    where = f"chain_engine.hooks.{name}"
    if parts[2] == "endpoint":
        _put(settings, f"{where}.kind", kind)
        _put(settings, f"{where}.url", value)
        _put(settings, f"{where}.secret", f"${{{variable}}}")
        return Told(line, key, f"{where}.url", f"signed with ${{{variable}}}, which must be set")
    own: dict[str, Callable[[Any], Any]] = {
        "batch_size": int,
        "flush_interval": seconds,
        "enforce_policies": _enforced,
    }
    ours = {"enforce_policies": "on_error"}.get(parts[2], parts[2])
    if parts[2] not in own:
        return Told(line, key, "", "the hook is told of every run")
    try:
        _put(settings, f"{where}.{ours}", own[parts[2]](value))
    except (TypeError, ValueError):
        return Told(line, key, "", "has no such value")
    return Told(line, key, f"{where}.{ours}")


def _enforced(value: Any) -> str:
    return "closed" if value is True else "open"


def _put(settings: dict[str, Any], path: str, value: Any) -> None:
    *tables, name = path.split(".")
    for table in tables:
        settings = settings.setdefault(table, {})
    settings[name] = value
