"""Rules for providers, which need every adapter: `rules.py` asks for them where a configuration has providers."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.config.rules import Finding
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError
from intellirouter.inference.provider import provider_of
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
