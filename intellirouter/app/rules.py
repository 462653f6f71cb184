"""Rules of a configuration that need to know the adapters and the strategies, which stand above the schema."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.bounds import patterns, schemas
from intellirouter.config.rules import Finding
from intellirouter.config.schema.groups import ValidationSection
from intellirouter.config.schema.model_registry import ModelSection
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError, InvalidRequest
from intellirouter.inference.guarding.rules import built
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.provider import provider_of
from intellirouter.inference.selection.table import strategy_name
from intellirouter.providers.table import ADAPTERS
from intellirouter.security.policy import no_role, read_policy


def provider_errors(settings: Settings) -> Iterator[Finding]:
    """Kinds of providers that do not exist, and endpoints that are needed."""
    for index, section in enumerate(settings.model_registry.providers):
        if not section.enabled:
            continue
        try:
            provider_of(section, ADAPTERS)
        except ConfigError as error:
            key = "endpoint" if section.kind in ADAPTERS else "kind"
            yield ("model_registry", "providers", index, key), error.message


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


def guard_errors(settings: Settings) -> Iterator[Finding]:
    """Guards that are named twice, patterns that are none, files of words that cannot be read."""
    named: set[str] = set()
    for index, section in enumerate(settings.guards):
        path = ("guards", index)
        if section.name in named:
            yield (*path, "name"), f"there are two guards '{section.name}'"
        named.add(section.name)
        for place, pattern in enumerate(section.patterns):
            try:
                patterns.compiled(pattern)
            except InvalidRequest as error:
                yield (*path, "patterns", place), error.message
        if section.words_file is not None:
            try:
                built(section)
            except ConfigError as error:
                yield path, error.message


def group_errors(settings: Settings) -> Iterator[Finding]:
    """Members that are no models or are groups themselves, patterns and schemas that are none."""
    registry = settings.model_registry
    providers = {provider.name for provider in registry.providers} | {OFFLINE.name}
    groups = {
        name
        for model in registry.models
        if model.ensemble is not None or model.cascade is not None or model.validation is not None
        for name in (model.name, *model.aliases)
    }
    models = {name for model in registry.models for name in (model.name, *model.aliases)}
    for index, model in enumerate(registry.models):
        path = ("model_registry", "models", index)
        for place, name in _members(model):
            if name in groups:
                yield (*path, *place), f"'{name}' is a group, which cannot be a member of another."
            elif name not in models and name.partition("/")[0] not in providers:
                yield (*path, *place), f"there is no model or provider '{name}'."
        if model.validation is not None:
            yield from _validation((*path, "validation"), model.validation)


def _members(model: ModelSection) -> Iterator[tuple[tuple[str, str], str]]:
    if model.ensemble is not None:
        yield from ((("ensemble", "members"), name) for name in model.ensemble.members)
        if model.ensemble.judge is not None:
            yield ("ensemble", "judge"), model.ensemble.judge
    if model.cascade is not None:
        yield from ((("cascade", "steps"), name) for name in model.cascade.steps)
    if model.validation is not None and model.validation.judge is not None:
        yield ("validation", "judge"), model.validation.judge


def _validation(path: tuple[str | int, ...], section: ValidationSection) -> Iterator[Finding]:
    try:
        patterns.compiled(section.pattern or "")
    except InvalidRequest as error:
        yield (*path, "pattern"), error.message
    try:
        schemas.schema(section.json_schema or {})
    except InvalidRequest as error:
        yield (*path, "json_schema"), error.message


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
        for name in (*issuer.roles, *issuer.role_map.values()):
            if name not in policy.roles:
                yield ("auth", "jwt", index, "roles"), no_role(name, policy)


RULES = (provider_errors, strategy_errors, group_errors, guard_errors, policy_errors)
