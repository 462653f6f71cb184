"""Rules of a configuration that need to know the adapters and the strategies, which stand above the schema."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.config.rules import Finding
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError, InvalidRequest
from intellirouter.inference.provider import provider_of
from intellirouter.inference.selection.table import strategy_name
from intellirouter.providers.table import ADAPTERS


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


RULES = (provider_errors, strategy_errors)
