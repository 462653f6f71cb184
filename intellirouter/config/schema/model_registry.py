"""`[model_registry]`: providers, models, and what is known about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator

from intellirouter.config.schema.section import HttpUrl, Seconds, Section, matching

Name = Annotated[
    str, Field(min_length=1, max_length=256), matching(r"\S*", "must be one word, without spaces")
]


class Timeouts(Section):
    """Deadlines of one provider, in seconds. `first_token` also bounds the wait for the response's headers."""

    connect: Seconds = 5
    first_token: Seconds = 60
    idle: Seconds = 15
    total: Seconds = 600


class ProviderSection(Section):
    """`[[model_registry.providers]]`: one endpoint that serves models.

    `kind` is an adapter or a preset (`openai`, `anthropic`, `ollama`, `openai_compatible`, …; default: the name).
    Keys come from `api_key`, `api_keys` or the variable named by `api_key_env`.
    """

    name: Name
    kind: str = ""
    endpoint: HttpUrl | None = None
    api_key: SecretStr | None = None
    api_keys: tuple[SecretStr, ...] = ()
    api_key_env: str | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    models: tuple[str, ...] = Field(default=(), description="the vendor's names; empty: ask the provider")
    discover: bool = Field(default=True, description="ask the provider for its models when none are listed")
    enabled: bool = True
    max_concurrency: int | None = Field(default=None, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    facts: str | None = Field(
        default=None,
        description="the vendor whose published prices and limits hold here; default: the kind's, at its own "
        "address; empty: none",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="the adapter's own settings")

    @field_validator("endpoint")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

    @model_validator(mode="before")
    @classmethod
    def _kind_is_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("kind") and isinstance(data.get("name"), str):
            return {**data, "kind": data["name"]}
        return data


class Price(Section):
    """US dollars per million tokens. An absent rate falls back to `input`."""

    input: float = Field(default=0, ge=0)
    output: float = Field(default=0, ge=0)
    cached: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)


class TargetSection(Section):
    """One upstream of a model: `provider/model`, with its share under weighted strategies."""

    target: Annotated[str, matching(r"[^/\s]+/\S+", "must be provider/model, as in openai/gpt-5-mini")]
    weight: float = Field(default=1, ge=0)
    tags: tuple[str, ...] = ()
    max_concurrency: int | None = Field(default=None, ge=1)


class ModelSection(Section):
    """`[[model_registry.models]]`: a name clients may ask for, and the targets that serve it."""

    name: Name
    targets: tuple[TargetSection, ...] = Field(min_length=1)
    strategy: str | None = None
    fallbacks: tuple[str, ...] = Field(default=(), description="models to try when every target fails")
    price: Price | None = None
    context_window: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    capabilities: tuple[str, ...] = ()
    aliases: tuple[Name, ...] = ()
    timeouts: Timeouts | None = None
    defaults: dict[str, Any] = Field(default_factory=dict, description="request fields used where absent")
    rag: dict[str, Any] | None = None
    persona: str | None = None

    @field_validator("targets", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, (list, tuple)):
            return [{"target": item} if isinstance(item, str) else item for item in value]
        return value


class ModelRegistrySection(Section):
    """`[model_registry]`."""

    refresh_interval_seconds: Seconds = 300
    discover_environment: bool = Field(
        default=True, description="use providers whose keys the environment holds"
    )
    default_model: str | None = Field(default=None, description="what `auto` means")
    facts_file: Path | None = Field(
        default=None, description="published prices and limits in place of the table in the wheel"
    )
    providers: tuple[ProviderSection, ...] = ()
    models: tuple[ModelSection, ...] = ()
