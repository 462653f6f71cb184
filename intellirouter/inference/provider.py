"""A configured provider: an adapter, an endpoint, keys, deadlines."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from intellirouter.config.schema.model_registry import ProviderSection, Timeouts
from intellirouter.errors import ConfigError
from intellirouter.providers.adapter import Adapter, Target
from intellirouter.transport.contract import Deadlines


@dataclass(frozen=True, slots=True)
class Provider:
    """One endpoint that serves models. `optional` means: nobody asked for it, so its absence is no fault."""

    name: str
    adapter: Adapter
    base_url: str
    keys: tuple[SecretStr, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    deadlines: Deadlines = field(default_factory=Deadlines)
    models: tuple[str, ...] = ()
    discover: bool = True
    optional: bool = False
    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    facts: str | None = None  # the vendor whose published facts hold; empty: none's

    def target(self, model: str) -> Target:
        """The target for one of its models, with the first key."""
        return Target(
            provider=self.name,
            model=model,
            base_url=self.base_url,
            api_key=self.keys[0] if self.keys else None,
            headers=self.headers,
            options=self.options,
        )


def deadlines_of(timeouts: Timeouts) -> Deadlines:
    """The transport's deadlines for configured timeouts."""
    return Deadlines(
        connect=timeouts.connect, first_byte=timeouts.first_token, idle=timeouts.idle, total=timeouts.total
    )


def provider_of(section: ProviderSection, adapters: Mapping[str, Adapter]) -> Provider:
    """The provider a section describes. Raises `ConfigError` for an unknown kind or a missing endpoint."""
    adapter = adapters.get(section.kind)
    if adapter is None:
        close = difflib.get_close_matches(section.kind, adapters, n=1)
        advice = f"Did you mean '{close[0]}'?" if close else f"Kinds: {', '.join(sorted(adapters))}."
        raise ConfigError(f"provider '{section.name}': there is no kind '{section.kind}'. {advice}")
    base_url = section.endpoint or adapter.default_base_url
    if not base_url:
        raise ConfigError(f"provider '{section.name}': kind '{section.kind}' needs an endpoint.")
    first = (section.api_key,) if section.api_key is not None else ()
    options = {key: value for key, value in section.options.items() if key != "optional"}
    return Provider(
        name=section.name,
        adapter=adapter,
        base_url=base_url.rstrip("/"),
        keys=(*first, *section.api_keys),
        headers={name: value.get_secret_value() for name, value in section.headers.items()},
        options=options,
        deadlines=deadlines_of(section.timeouts),
        models=section.models,
        discover=section.discover,
        optional=section.options.get("optional") is True,
        max_concurrency=section.max_concurrency,
        requests_per_minute=section.requests_per_minute,
        tokens_per_minute=section.tokens_per_minute,
        facts=section.facts,
    )
