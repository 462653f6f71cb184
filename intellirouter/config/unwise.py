"""What holds and is probably a mistake: it has no effect, or the node that runs with it says no later."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from intellirouter.config.rules import Finding, nearest
from intellirouter.config.schema.model_registry import ModelRegistrySection
from intellirouter.config.schema.settings import Settings

_OPERATION = re.compile(r"/(?:chat/completions|completions|responses|messages|embeddings|(?<=/v1/)models)$")
"""What is added to a provider's address. One that ends in /models may be whole: Azure's `…services.ai.azure.com/models` is."""
_PORTS = {"router": 8080, "chain_engine": 8081, "rag_manager": 8082, "persona_layer": 8083}


def warnings(settings: Settings) -> Iterator[Finding]:
    """See above. `validate-config --strict` refuses them."""
    yield from _files(settings)
    yield from _memory(settings)
    yield from _models(settings)
    yield from _rules(settings)
    yield from _ports(settings)


def _files(settings: Settings) -> Iterator[Finding]:
    """What is to be read and is not there. Of what this user may not look at nothing is said."""
    tls, ipc, memory = settings.server.tls, settings.ipc.security, settings.memory
    named: list[tuple[tuple[str, ...], Path | None]] = [
        *((("server", "tls", key), getattr(tls, key, None)) for key in ("certificate", "key", "client_ca")),
        *((("ipc", "security", key), getattr(ipc, key)) for key in ("ca", "certificate", "key")),
        *((("memory", key), getattr(memory, key)) for key in ("redis_ca", "redis_certificate", "redis_key")),
        (("rag", "embedding_model_path"), settings.rag.embedding_model_path),
        (("model_registry", "facts_file"), settings.model_registry.facts_file),
    ]
    for path, file in named:
        if file is not None and _lacks(file):
            yield path, f"{file} is not there: correct the path, or put it there."
    data = settings.paths.data_dir
    if _is_file(data):
        yield ("paths", "data_dir"), f"{data} is a file: name a directory, which the node makes."


def _lacks(file: Path) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # a directory on the way that this user may not enter
        pass
    return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _memory(settings: Settings) -> Iterator[Finding]:
    """Words about a Redis that is not asked."""
    section = settings.memory
    if section.backend_type == "redis":
        return
    for key in sorted(section.model_fields_set):
        default = type(section).model_fields[key].default
        if key.startswith("redis_") and getattr(section, key) not in (default, SecretStr("")):
            yield (
                ("memory", key),
                'has no effect while memory.backend_type is "embedded": set it to "redis".',
            )


def _models(settings: Settings) -> Iterator[Finding]:
    """Names of models that are none, and addresses that say too much."""
    registry = settings.model_registry
    for index, provider in enumerate(registry.providers):
        if ending := _OPERATION.search(urlsplit(provider.endpoint or "").path.rstrip("/")):
            yield (
                ("model_registry", "providers", index, "endpoint"),
                f"ends in {ending[0]}, which is added to it: leave that out, as in http://10.0.0.5:8000/v1.",
            )
    names = {name for model in registry.models for name in (model.name, *model.aliases)}
    default = registry.default_model
    if default is not None and not default.startswith("auto") and not _may_be(default, names, registry):
        yield (
            ("model_registry", "default_model"),
            f"there is no model '{default}' here. {nearest(default, names)}",
        )
    for name in settings.limits.models:
        if names and name not in names and "/" not in name and not name.startswith("auto"):
            yield (
                ("limits", "models", name),
                f"has no effect: there is no model '{name}' here. {nearest(name, names)}",
            )


def _may_be(name: str, names: set[str], registry: ModelRegistrySection) -> bool:
    """Whether there is a model of that name, or a provider that may list one."""
    providers = registry.providers
    if name in names or name.partition("/")[0] in {*(one.name for one in providers), "offline", "chain"}:
        return True
    listed = any(name in one.models or (one.discover and not one.models) for one in providers)
    return listed or not (names or providers)


def _rules(settings: Settings) -> Iterator[Finding]:
    """Rules that lead to no target. Where no model is configured, providers list what there is."""
    targets = [target for model in settings.model_registry.models for target in model.targets]
    known = {name for target in targets for name in (target.target, *target.tags)}
    providers = {provider.name for provider in settings.model_registry.providers}
    for index, rule in enumerate(settings.router.rules if targets else ()):
        for name in rule.targets:
            if name not in known and name.partition("/")[0] not in providers:
                yield (
                    ("router", "rules", index, "targets"),
                    f"no target has the id or tag '{name}'. {nearest(name, known)}",
                )


def _ports(settings: Settings) -> Iterator[Finding]:
    """Roles that cannot listen in one process, as `--role All` has them."""
    said = {key: getattr(settings.roles, key).port for key in _PORTS}
    own = {**_PORTS, "router": settings.server.port}
    left_out = {"rag_manager": not settings.rag.enabled, "persona_layer": not settings.persona_layer.enabled}
    ports = {key: said[key] if said[key] is not None else own[key] for key in _PORTS if not left_out.get(key)}
    many = Counter(port for port in ports.values() if port)
    for key, port in ports.items():
        if said[key] is not None and many[port] > 1:
            others = ", ".join(name for name, other in ports.items() if other == port and name != key)
            yield (
                ("roles", key, "port"),
                f"{port} is the port of {others} too: both cannot run in one process.",
            )
