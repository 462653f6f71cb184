"""`[model_registry]`: providers, models, and what is known about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from intellirouter.config.schema.groups import CascadeSection, EnsembleSection, ValidationSection
from intellirouter.config.schema.section import HttpUrl, Seconds, Section, empty, matching

Name = Annotated[
    str, Field(min_length=1, max_length=256), matching(r"\S*", "must be one word, without spaces")
]


class Timeouts(Section):
    """Deadlines of one provider, in seconds. `first_token` also bounds the wait for the response's headers."""

    connect: Seconds = Field(default=5, description="until a connection is there")
    first_token: Seconds = Field(
        default=60,
        description="until the first word, anew with each ping and thought; or the headers of the response",
    )
    idle: Seconds = Field(default=15, description="between two pieces of a stream that has words")
    total: Seconds = Field(default=600, description="for the whole answer")


class ProviderSection(Section):
    """`[[model_registry.providers]]`: one endpoint that serves models.

    `kind` is an adapter or a preset (`openai`, `anthropic`, `ollama`, `openai_compatible`, …; default: the name).
    Keys come from `api_key`, `api_keys` or the variable named by `api_key_env`.
    """

    name: Name = Field(description="what targets begin with, as in name/model")
    kind: str = Field(default="", description="an adapter or a preset; absent: the name")
    endpoint: HttpUrl | None = Field(
        default=None,
        description="the address up to the version, as in http://10.0.0.5:8000/v1; absent: the vendor's own",
    )
    api_key: SecretStr | None = Field(default=None, description='as "${VARIABLE}", or by api_key_env')
    api_keys: tuple[SecretStr, ...] = Field(default=(), description="further keys, used in turn")
    api_key_env: str | None = Field(default=None, description="the variable that holds the key")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="sent with every request")
    timeouts: Timeouts = Field(default_factory=empty(Timeouts))
    models: tuple[str, ...] = Field(default=(), description="the vendor's names; empty: ask the provider")
    discover: bool = Field(default=True, description="ask the provider for its models when none are listed")
    enabled: bool = Field(default=True, description="false leaves it out")
    max_concurrency: int | None = Field(default=None, ge=1, description="requests under way at once")
    requests_per_minute: int | None = Field(default=None, ge=1, description="requests sent within a minute")
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="tokens sent and received within a minute"
    )
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
    """US dollars per million tokens. Where a rate is absent, `cached` is `input`, and writing into a prompt cache
    costs what Anthropic takes: 1.25 times `input` for five minutes, twice for an hour."""

    input: float = Field(default=0, ge=0, description="of the prompt")
    output: float = Field(default=0, ge=0, description="of the answer")
    cached: float | None = Field(
        default=None, ge=0, description="of the prompt where the provider has it cached"
    )
    cache_write: float | None = Field(
        default=None, ge=0, description="of the prompt where the provider caches it, for five minutes"
    )
    cache_write_1h: float | None = Field(
        default=None, ge=0, description="of the prompt where the provider caches it, for an hour"
    )


class TargetSection(Section):
    """One upstream of a model: `provider/model`, with its share under weighted strategies."""

    target: Annotated[str, matching(r"[^/\s]+/\S+", "must be provider/model, as in openai/gpt-5-mini")] = (
        Field(description="provider/model")
    )
    weight: float = Field(default=1, ge=0, description="share under weighted strategies")
    tags: tuple[str, ...] = Field(default=(), description="names by which rules and requests choose")
    max_concurrency: int | None = Field(default=None, ge=1, description="requests under way at once")


class TiersSection(Section):
    """`[model_registry.models.learning.tiers]`: the target of each kind of question, in place of what was learnt."""

    simple: str | None = Field(default=None, description="target for questions that any model answers")
    medium: str | None = Field(default=None, description="target for what is neither; absent: as simple")
    complex: str | None = Field(default=None, description="target for long and hard work; absent: as medium")
    reasoning: str | None = Field(default=None, description="target for proofs and plans; absent: as complex")

    def target(self, tier: str) -> str | None:
        """The target of a tier, or of the nearest below that has one."""
        order = ("simple", "medium", "complex", "reasoning")
        below = order[: order.index(tier) + 1][::-1]
        return next((found for name in below if (found := getattr(self, name)) is not None), None)


class JudgeSection(Section):
    """`[model_registry.models.learning.judge]`: a model that grades a share of the answers, beside the path of requests."""

    model: str = Field(
        description="the model that grades; asked as the caller whose answer it is, who pays for it"
    )
    share: float = Field(default=0.02, ge=0, le=1, description="of answers that are graded")
    daily_usd: float = Field(
        default=1.0, ge=0, description="what grades of this group may cost on all nodes within a day"
    )
    criterion: str = Field(
        default="It is correct, complete, and as it was asked for.", description="what the judge goes by"
    )


class LearningSection(Section):
    """`[model_registry.models.learning]`: how a group with `strategy = "learned"` decides."""

    cost_weight: float = Field(
        default=0.5, ge=0, le=1, description="0: quality alone; 1: the cheapest that is good enough"
    )
    latency_weight: float = Field(default=0.0, ge=0, le=1, description="what time weighs, as cost does")
    quality_floor: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="expected success below which another target is taken, if one is above",
    )
    explore: float = Field(default=0.02, ge=0, le=0.5, description="share of requests that learn; 0: never")
    default: str | None = Field(
        default=None, description="the target that answers while unsure; none: the first"
    )
    tiers: TiersSection | None = Field(
        default=None, description="fixed targets by how complex a question is, in place of what was learnt"
    )
    sticky: bool = Field(default=True, description="a conversation or an agent's run stays with its target")
    judge: JudgeSection | None = Field(default=None, description="grades some answers; none: nobody does")


class ModelSection(Section):
    """`[[model_registry.models]]`: a name clients may ask for, and the targets that serve it."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["targets"]}, {"required": ["ensemble"]}, {"required": ["cascade"]}]
        }
    )

    name: Name = Field(description="what clients ask for")
    targets: tuple[TargetSection, ...] = Field(
        default=(), description="provider/model, or tables with weight and tags; a group has none"
    )
    strategy: str | None = Field(
        default=None, description="how the order of its targets is found; absent: router.strategy"
    )
    learning: LearningSection | None = Field(
        default=None, description='how `strategy = "learned"` decides; with it no strategy need be named'
    )
    fallbacks: tuple[str, ...] = Field(default=(), description="models to try when every target fails")
    content_policy_fallbacks: tuple[str, ...] = Field(
        default=(), max_length=16, description="models to ask when the content policy of a target refuses"
    )
    price: Price | None = None
    context_window: int | None = Field(default=None, ge=1, description="tokens of input and output together")
    max_output_tokens: int | None = Field(default=None, ge=1, description="the longest answer")
    capabilities: tuple[str, ...] = Field(
        default=(), description="what it can do besides text, as in vision, tools, reasoning"
    )
    aliases: tuple[Name, ...] = Field(default=(), description="further names for it")
    timeouts: Timeouts | None = None
    defaults: dict[str, Any] = Field(default_factory=dict, description="request fields used where absent")
    rag: dict[str, Any] | None = Field(
        default=None, description='answer from these documents: what a request says as "rag"'
    )
    persona: str | None = Field(default=None, description="for requests that name none")
    ensemble: EnsembleSection | None = Field(default=None, description="several models asked at once")
    cascade: CascadeSection | None = Field(default=None, description="models asked one after the other")
    validation: ValidationSection | None = Field(default=None, description="what an answer must be like")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [bool(self.targets), self.ensemble is not None, self.cascade is not None]
        if sum(kinds) != 1:
            raise ValueError("a model has either targets, an ensemble or a cascade")
        if self.ensemble is not None and self.validation is not None:
            raise ValueError("validation goes with targets or a cascade")
        return self

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

    refresh_interval_seconds: Seconds = Field(
        default=300, description="between looks at the lists of models of the providers"
    )
    discover_environment: bool = Field(
        default=True, description="use providers whose keys the environment holds"
    )
    default_model: str | None = Field(default=None, description="what `auto` means")
    facts_file: Path | None = Field(
        default=None, description="published prices and limits in place of the table in the wheel"
    )
    providers: tuple[ProviderSection, ...] = ()
    models: tuple[ModelSection, ...] = ()
