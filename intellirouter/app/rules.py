"""Rules of a configuration that need to know the adapters and the strategies, which stand above the schema."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from intellirouter.config.rules import Finding, is_public
from intellirouter.config.schema.alerts import AlertsSection
from intellirouter.config.schema.identity import ClaimsSection
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError, InvalidRequest
from intellirouter.inference.selection.table import strategy_name
from intellirouter.security.policy import no_role, read_policy


def strategy_errors(settings: Settings) -> Iterator[Finding]:
    """Strategies that do not exist."""
    yield from _strategy(("router", "strategy"), settings.router.strategy)
    for index, model in enumerate(settings.model_registry.models):
        if model.strategy is not None:
            yield from _strategy(("model_registry", "models", index, "strategy"), model.strategy)


def _strategy(path: tuple[str | int, ...], name: str) -> Iterator[Finding]:
    try:
        strategy_name(name)
    except InvalidRequest as error:
        yield path, error.message


def policy_errors(settings: Settings) -> Iterator[Finding]:
    """A policy that does not hold, and keys with roles that are not there."""
    section = settings.auth
    try:
        policy = read_policy(section.policy_file)
    except ConfigError as error:
        yield ("auth", "policy_file"), error.message.removeprefix("auth.policy_file: ")
        return
    for index, key in enumerate(section.keys):
        for name in key.roles:
            if name not in policy.roles:
                yield ("auth", "keys", index, "roles"), no_role(name, policy)
    seen: set[str] = set()
    for index, issuer in enumerate(section.jwt):
        if issuer.issuer in seen or issuer.issuer == "intellirouter":
            yield (
                ("auth", "jwt", index, "issuer"),
                "is taken: each issuer stands once, and intellirouter is ours.",
            )
        seen.add(issuer.issuer)
        if issuer.jwks_url is None and not issuer.issuer.startswith(("https://", "http://")):
            yield (
                ("auth", "jwt", index, "jwks_url"),
                "is needed: the issuer is no address that could be asked.",
            )
    yield from _oidc(settings)
    issuers: tuple[tuple[str, tuple[ClaimsSection, ...]], ...] = (
        ("jwt", section.jwt),
        ("oidc", section.oidc),
    )
    for table, listed in issuers:
        for index, one in enumerate(listed):
            for name in (*one.roles, *one.role_map.values()):
                if name not in policy.roles:
                    yield ("auth", table, index, "roles"), no_role(name, policy)


def _oidc(settings: Settings) -> Iterator[Finding]:
    """Providers of identities that are named twice, or that nobody's browser finds back from."""
    named: set[str] = set()
    for index, provider in enumerate(settings.auth.oidc):
        if provider.name in named:
            yield ("auth", "oidc", index, "name"), f"there are two providers '{provider.name}'."
        named.add(provider.name)
    if settings.auth.oidc and settings.server.public_url is None and is_public(settings.server.host):
        yield (
            ("server", "public_url"),
            "is needed with [[auth.oidc]]: it is where people's browsers are sent back to, as in https://ai.example.com.",
        )


def part_errors(settings: Settings) -> Iterator[Finding]:
    """Of providers, groups, guards and alerts, where there are any: their parts take as long to import as all the rest."""
    registry = settings.model_registry
    if registry.providers:
        yield from _module("provider_rules").provider_errors(settings)
    if registry.models:
        yield from _module("model_rules").group_errors(settings)
    if settings.guards:
        yield from _module("model_rules").guard_errors(settings)
    if settings.alerts != AlertsSection():
        yield from _module("alert_rules").alert_errors(settings)


def load_rules() -> None:
    """Import the parts that `part_errors` imports when it needs them, for a process that may not be able to read them later."""
    for name in ("provider_rules", "model_rules", "alert_rules"):
        _module(name)


def _module(name: str) -> Any:
    return importlib.import_module(f"intellirouter.app.{name}")


RULES = (part_errors, strategy_errors, policy_errors)
