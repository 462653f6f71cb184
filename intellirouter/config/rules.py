"""Rules across tables: what contradicts itself, and what is allowed but unwise."""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterator

from intellirouter.config import chain_rules, weak_secrets
from intellirouter.config.env import KEY_VARIABLES
from intellirouter.config.schema.rag import RagSection
from intellirouter.config.schema.settings import Settings

_HTTPS = "must start with https:// where roles trust one another by certificate."
_VENDORS = {provider for _, provider in KEY_VARIABLES}
_GENERATE = "Generate one: openssl rand -hex 32."
Path = tuple[str | int, ...]
Finding = tuple[Path, str]


def _backup(settings: Settings) -> Iterator[Finding]:
    section = settings.backup
    if section.to is None and (section.schedule or section.drill_schedule):
        yield ("backup", "to"), "is needed: it says where scheduled backups lie."
    if section.recipients is not None and section.passphrase_file is not None:
        yield ("backup", "passphrase_file"), "stands beside recipients: one of the two opens a backup."
    encrypted = section.recipients is not None
    if section.drill_schedule and encrypted and section.identity is None:
        yield ("backup", "identity"), "is needed: a drill opens what is encrypted to recipients with it."


def errors(settings: Settings) -> Iterator[Finding]:
    """Contradictions that keep a node from starting."""
    yield from _duplicates(settings)
    yield from _targets(settings)
    yield from rag_errors(settings.rag)
    yield from _rag_nodes(settings)
    yield from _memory(settings)
    yield from _tls(settings)
    yield from _at_rest(settings)
    yield from _backup(settings)
    yield from chain_rules.errors(settings.chain_engine)
    if settings.server.workers > 1 and settings.server.port == 0:
        yield ("server", "workers"), "above 1 needs a fixed server.port."
    security = settings.ipc.security
    if security.enabled and security.token is None and security.certificate is None:
        yield ("ipc", "security", "token"), "is needed while ipc.security is enabled (or a certificate)."
    files = {"ca": security.ca, "certificate": security.certificate, "key": security.key}
    absent = [name for name, file in files.items() if file is None]
    if security.enabled and 0 < len(absent) < len(files):
        yield ("ipc", "security", absent[0]), "is needed too: ca, certificate and key belong together."
    if security.enabled and not absent:
        for name in ("router", "chain_engine", "rag_manager", "persona_layer"):
            endpoint = getattr(settings.ipc, f"{name}_endpoint")
            if endpoint and not endpoint.startswith("https://"):
                yield (
                    ("ipc", f"{name}_endpoint"),
                    _HTTPS,
                )
        for index, helper in enumerate(settings.rag.helpers):
            if not helper.startswith("https://"):
                yield ("rag", "helpers", index), _HTTPS
        for name, url in settings.rag.nodes.items():
            if not url.startswith("https://"):
                yield ("rag", "nodes", name), _HTTPS


def _at_rest(settings: Settings) -> Iterator[Finding]:
    """What of `[security]` cannot be."""
    section = settings.security
    if section.previous_keys and section.key is None:
        yield (
            ("security", "previous_keys"),
            "need [security] key: it is what everything is encrypted with from now on.",
        )
    for index, old in enumerate(section.previous_keys):
        if section.key is not None and old == section.key:
            yield ("security", "previous_keys", index), "is the same as security.key."


def _tls(settings: Settings) -> Iterator[Finding]:
    """What of `[server.tls]` has no effect, or cannot."""
    tls = settings.server.tls
    if tls is None:
        return
    if tls.client_ca is None and tls.client_keys:
        yield (
            ("server", "tls", "client_keys"),
            "need server.tls.client_ca: without it no client shows a certificate.",
        )
    if tls.client_keys and not settings.auth.enabled:
        yield ("server", "tls", "client_keys"), "mean nothing while auth.enabled is false."
    if tls.minimum == "1.3" and tls.ciphers is not None:
        yield ("server", "tls", "ciphers"), "are those of TLS 1.2, and server.tls.minimum is 1.3."


def _memory(settings: Settings) -> Iterator[Finding]:
    """Addresses of Redis that cannot be ones."""
    section = settings.memory
    url = section.redis_url.get_secret_value()
    if not url.startswith(("redis://", "rediss://", "unix://")):
        yield ("memory", "redis_url"), "must start with redis:// or rediss://."
    for index, address in enumerate(section.redis_sentinels):
        if not re.fullmatch(r"\S+:\d+", address):
            yield ("memory", "redis_sentinels", index), "must be host:port."


def _rag_nodes(settings: Settings) -> Iterator[Finding]:
    """What several RagManagers need of other tables."""
    if not settings.rag.nodes:
        return
    if settings.memory.backend_type != "redis":
        yield (
            ("rag", "nodes"),
            "need a Redis that all of them use (memory.backend_type): it says where a collection is.",
        )
    if settings.auth.enabled and not settings.ipc.security.enabled:
        yield (
            ("rag", "nodes"),
            "need ipc.security while auth.enabled: they ask one another on behalf of a key.",
        )


def rag_errors(section: RagSection) -> Iterator[Finding]:
    """Contradictions in `[rag]`."""
    if section.chunk_overlap >= section.chunk_size:
        yield ("rag", "chunk_overlap"), "must be smaller than rag.chunk_size."
    if section.rerank_path is not None and section.rerank_url is not None:
        yield ("rag", "rerank_path"), "set this or rag.rerank_url, not both."
    if section.nodes and section.node not in section.nodes:
        yield ("rag", "node"), f"must name this node among rag.nodes (there are: {', '.join(section.nodes)})."
    if section.node is not None and not section.nodes:
        yield ("rag", "node"), "has no meaning without rag.nodes."
    if section.vector_db_shards and not section.vector_db_url:
        yield ("rag", "vector_db_shards"), "the first server goes into rag.vector_db_url."
        return
    servers = {url.rstrip("/") for url in (section.vector_db_url or "", *section.vector_db_shards)}
    if section.vector_copies > len(servers):
        yield (
            ("rag", "vector_copies"),
            f"{section.vector_copies} copies need as many servers, and {len(servers)} are named.",
        )


def warnings(settings: Settings) -> Iterator[Finding]:
    """What an operator must hear, loudly, and `validate-config --strict` refuses."""
    if settings.environment == "production" and not settings.auth.enabled and is_public(settings.server.host):
        yield (
            ("auth", "enabled"),
            f"is off while a production node listens on {settings.server.host}: whoever reaches it can spend your money.",
        )
    if settings.environment != "production":
        yield from known_secrets(settings)
    audit = settings.auth.audit
    if audit.level == "off" and (audit.key is not None or audit.directory is not None):
        yield ("auth", "audit", "level"), "is off, so that what else [auth.audit] says has no effect."
    if settings.auth.jwt and not settings.auth.enabled:
        yield ("auth", "jwt"), "has no effect while auth.enabled is false: nobody is asked for a token."
    if settings.auth.oidc and not settings.auth.enabled:
        yield ("auth", "oidc"), "has no effect while auth.enabled is false: nobody signs in."
    if settings.environment == "production":
        issuers = (("jwt", settings.auth.jwt), ("oidc", settings.auth.oidc))
        for table, listed in issuers:
            for index, one in enumerate(listed):
                if (one.jwks_url or one.issuer).startswith("http://"):
                    yield (
                        ("auth", table, index, "issuer"),
                        "is asked without TLS: whoever is on the way says who may come in. Use https://.",
                    )
    yield from _collector(settings)
    yield from chain_rules.warnings(settings.chain_engine)


def _collector(settings: Settings) -> Iterator[Finding]:
    """What of `[telemetry]` sends nothing to a collector."""
    if settings.telemetry.tracing_enabled and not settings.telemetry.otlp_endpoint:
        yield (
            ("telemetry", "tracing_enabled"),
            "has no effect without telemetry.otlp_endpoint: nobody is sent the traces.",
        )
    if settings.telemetry.otlp_metrics and not settings.telemetry.otlp_endpoint:
        yield (
            ("telemetry", "otlp_metrics"),
            "has no effect without telemetry.otlp_endpoint: nobody is sent the metrics.",
        )
    if settings.telemetry.otlp_logs and not settings.telemetry.otlp_endpoint:
        yield (
            ("telemetry", "otlp_logs"),
            "has no effect without telemetry.otlp_endpoint: nobody is sent the log.",
        )
    if settings.telemetry.otlp_endpoint and not (
        settings.telemetry.tracing_enabled or settings.telemetry.otlp_metrics or settings.telemetry.otlp_logs
    ):
        yield (
            ("telemetry", "otlp_endpoint"),
            "has no effect while telemetry.tracing_enabled is false.",
        )
    loki = settings.telemetry.loki
    if not loki.url and (loki.labels or loki.headers or loki.tenant or loki.username or loki.password):
        yield ("telemetry", "loki"), "has no effect without telemetry.loki.url: nobody is sent the log."
    clear = (loki.url or "").startswith("http://") and (loki.password or loki.headers)
    if clear and settings.environment == "production":
        yield (
            ("telemetry", "loki", "url"),
            "is sent a password without TLS: whoever is on the way can read it. Use https://.",
        )


def refusals(settings: Settings) -> Iterator[Finding]:
    """What a node does not start with, though it can be read: in production a secret that everybody knows."""
    if settings.environment == "production":
        yield from known_secrets(settings)


def known_secrets(settings: Settings) -> Iterator[Finding]:
    """Every secret of the configuration that keeps nobody out. What it is is not said: it may be used elsewhere."""
    for path, secret in weak_secrets.secrets_at(settings):
        if not secret:
            continue
        if path[0] == "model_registry":
            # to a model server of one's own a key that means nothing is customary ("EMPTY")
            provider = settings.model_registry.providers[int(path[2])]
            vendors_own = provider.endpoint is None and provider.kind in _VENDORS and path[3] != "headers"
            if weak_secrets.is_placeholder(secret) or (vendors_own and weak_secrets.is_known(secret)):
                yield path, f"the key of '{provider.name}' is a placeholder. Put the real one there."
        elif weak_secrets.is_placeholder(secret):
            yield path, f"is a placeholder, which everybody knows. {_GENERATE}"
        elif weak_secrets.is_known(secret):
            yield path, f"is short or common, so that it is guessed. {_GENERATE}"
    for index, key in enumerate(settings.auth.keys):
        if weak_secrets.is_known_hash(key.sha256):
            yield (
                ("auth", "keys", index, "sha256"),
                f"of '{key.name}' is the hash of a key that everybody knows. `intellirouter keys create` makes one.",
            )


def is_public(host: str) -> bool:
    """True unless the address is loopback only."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def nearest(name: str, known: Collection[str]) -> str:
    """`Did you mean 'x'?`, or what there is."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    listed = sorted(known)
    more = f" and {len(listed) - 10} more" if len(listed) > 10 else ""
    return f"There are: {', '.join(listed[:10])}{more}." if listed else ""


def _duplicates(settings: Settings) -> Iterator[Finding]:
    registry = settings.model_registry
    tables: tuple[tuple[Path, list[tuple[str, ...]]], ...] = (
        (("model_registry", "providers"), [(provider.name,) for provider in registry.providers]),
        (("model_registry", "models"), [(model.name, *model.aliases) for model in registry.models]),
        (("auth", "keys"), [(key.name,) for key in settings.auth.keys]),
        (("rag", "sources"), [(source.name,) for source in settings.rag.sources]),
    )
    for path, entries in tables:
        seen: set[str] = set()
        for index, names in enumerate(entries):
            for name in names:
                if (unseen := _unseen(name)) is not None:
                    yield (
                        (*path, index, "name"),
                        f"'{name}' holds a character that nobody sees ({unseen}): leave it out.",
                    )
                if name in seen:
                    yield (*path, index, "name"), f"the name '{name}' is used more than once."
                seen.add(name)


def _targets(settings: Settings) -> Iterator[Finding]:
    registry = settings.model_registry
    providers = {provider.name for provider in registry.providers} | {"offline"}
    models = {name for model in registry.models for name in (model.name, *model.aliases)}
    for index, model in enumerate(registry.models):
        for position, target in enumerate(model.targets):
            name = target.target.partition("/")[0]
            if name not in providers:
                path: Path = ("model_registry", "models", index, "targets", position)
                yield path, f"there is no provider '{name}'. {nearest(name, providers)}"
        named = [("fallbacks", name) for name in model.fallbacks]
        named += [("content_policy_fallbacks", name) for name in model.content_policy_fallbacks]
        for field, fallback in named:
            if fallback not in models and fallback.partition("/")[0] not in providers:
                path = ("model_registry", "models", index, field)
                yield (
                    path,
                    f"there is no model or provider for the fallback '{fallback}'. {nearest(fallback, models)}",
                )


_JOINERS = "\u200c\u200d"
"""Part letters or bind them in Persian and the scripts of India, and pictures in one: typed there, and seen."""


def _unseen(name: str) -> str | None:
    """The number of a character of it that has no width, or breaks the line: who asks for the name types none."""
    for before, character, after in zip(f" {name}", name, f"{name[1:]} ", strict=False):
        if character in _JOINERS and not (before.isascii() or after.isascii()):
            continue
        if unicodedata.category(character) in ("Cf", "Cc", "Zl", "Zp"):
            return f"U+{ord(character):04X}"
    return None
