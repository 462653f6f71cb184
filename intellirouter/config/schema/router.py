"""`[router]`: how requests are tried."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from intellirouter.bounds.patterns import BadPattern, compiled
from intellirouter.config.schema.section import Seconds, Section, empty


class CircuitSection(Section):
    """`[router.circuit]`: when a target is left alone, and how soon it is asked again."""

    failure_threshold: int = Field(default=5, ge=1, description="failures in a row that open the circuit")
    timeout: Seconds = Field(default=60, description="the longest rest of an open circuit")
    probe_interval: Seconds = Field(
        default=15, description="a recovered target is found within this time; cuts a longer timeout"
    )


class RuleSection(Section):
    """`[[router.rules]]`: what the request must be like, and the targets (ids or tags) to try first then."""

    targets: tuple[str, ...] = Field(min_length=1, description="ids or tags of targets, tried first")
    min_tokens: int | None = Field(default=None, ge=0, description="of the input, estimated")
    max_tokens: int | None = Field(default=None, ge=0, description="of the input, estimated")
    images: bool | None = Field(default=None, description="whether the request has images")
    tools: bool | None = Field(default=None, description="whether the request has tools")
    tags: tuple[str, ...] = Field(default=(), description="of the request; one of them is enough")
    headers: dict[str, str] = Field(default_factory=dict, description="a value, or * for any")
    only: bool = Field(default=False, description="no other target may serve such a request")

    @field_validator("headers")
    @classmethod
    def _lower_case(cls, value: dict[str, str]) -> dict[str, str]:
        return {name.lower(): wanted for name, wanted in value.items()}


class RouteSection(Section):
    """`[[router.routes]]`: where questions like these examples go, within `auto` and groups that learn."""

    name: str = Field(min_length=1, max_length=100, description="for explanations and metrics")
    targets: tuple[str, ...] = Field(min_length=1, description="ids or tags of targets, best first")
    examples: tuple[Annotated[str, Field(min_length=1, max_length=4_000)], ...] = Field(
        min_length=1, max_length=100, description="sentences as people write them"
    )
    likeness: float = Field(
        default=0.35, gt=0, le=1, description="from which on a question is like an example"
    )


class PersonaRuleSection(Section):
    """`[[router.persona_rules]]`: the persona of requests that name none. Everything named must hold; the first that does counts."""

    persona: str = Field(min_length=1, description="its name, or name@version")
    keys: tuple[str, ...] = Field(default=(), description="ids of API keys")
    teams: tuple[str, ...] = Field(default=(), description="of API keys")
    models: tuple[str, ...] = Field(default=(), description="names that requests ask for")
    tags: tuple[str, ...] = Field(default=(), description="of the request; one of them is enough")
    content: str | None = Field(
        default=None, description="a regular expression for the last user message, upper or lower case"
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not (self.keys or self.teams or self.models or self.tags or self.content):
            raise ValueError("name at least one of keys, teams, models, tags and content")
        try:
            compiled(self.content or "")
        except BadPattern as cause:
            raise ValueError(f"content is no regular expression: {cause.message}") from cause
        return self


class PersonaTrialSection(Section):
    """`[[router.persona_trials]]`: versions of one persona beside the one in force, by percent of those who ask for it."""

    persona: str = Field(min_length=1, description="its name")
    versions: dict[int, Annotated[float, Field(gt=0, le=100)]] = Field(
        min_length=1, description="percent by version"
    )

    @field_validator("versions")
    @classmethod
    def _together(cls, value: dict[int, float]) -> dict[int, float]:
        if sum(value.values()) > 100:
            raise ValueError("more than 100 percent in all")
        return value


class SummarySection(Section):
    """`[router.conversation_summary]`: what earlier turns said, in short, instead of leaving them out."""

    model: str = Field(min_length=1, description="who writes it: a cheap model or a group")
    max_tokens: int = Field(default=500, ge=50, description="of one summary")


class RouterSection(Section):
    """`[router]`."""

    strategy: str = Field(
        default="fallback",
        description="how the order of targets is found: fallback, round-robin, weighted, least-busy, lowest-latency, cost-optimized, usage, consistent-hash, rules, split",
    )
    routes: Annotated[tuple[RouteSection, ...], Field(max_length=100)] = Field(
        default=(), description="questions like these examples go to these targets"
    )
    rules: tuple[RuleSection, ...] = ()
    persona_rules: tuple[PersonaRuleSection, ...] = ()
    persona_trials: tuple[PersonaTrialSection, ...] = ()
    circuit: CircuitSection = Field(default_factory=empty(CircuitSection))
    learning_interval: Seconds = Field(
        default=60, description="between rounds of learning from outcomes; on one node of all at a time"
    )
    max_wait_seconds: Seconds = Field(
        default=5,
        description="waited in all for targets that asked for a rest, when nobody else can serve; a longer rest is the client's",
    )
    hedge_after_seconds: Seconds | Literal["p95", "never"] = Field(
        default=8,
        description="a stream silent for so long is asked of the next target too; p95: of what is usual for the target",
    )
    hedge_whole_after_seconds: Seconds | Literal["p95", "never"] = Field(
        default="never", description="the same for answers that are not streamed, where silence is normal"
    )
    mid_stream: Literal["continue", "error"] = Field(
        default="continue", description="what follows when a stream breaks after its first token"
    )
    stall_seconds: Seconds = Field(
        default=30,
        description="a stream may stand still for so long in all, over every target that takes it over; then it ends "
        "with an error",
    )
    on_rate_limit: Literal["next", "wait"] = Field(
        default="next",
        description="a target that says when to come back is left for the next one, or waited for (up to "
        "max_wait_seconds)",
    )
    max_attempts: int = Field(default=6, ge=1, le=50, description="tries of one request, over all targets")
    max_response_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, description="of one upstream answer")
    request_timeout: Seconds = Field(default=600, description="for one request, all attempts together")
    transport: Literal["fast", "aiohttp"] = Field(
        default="fast", description="the HTTP client to providers: the lean one, or aiohttp's"
    )
    max_upstream_connections: int = Field(
        default=16_384,
        ge=1,
        description="to one provider's host, in each process; requests beyond wait their turn",
    )
    conversation_tokens: int = Field(
        default=8_000,
        ge=0,
        description="of earlier turns that go with a request, as estimated; whole turns only",
    )
    conversation_summary: SummarySection | None = Field(
        default=None, description="without it, turns beyond conversation_tokens are left out"
    )
    conversation_ttl: Seconds = Field(
        default=30 * 86_400, description="how long a conversation is kept, from its last turn"
    )
    response_ttl: Seconds = Field(
        default=30 * 86_400,
        description="how long what /v1/responses answered is kept, unless a request says store: false",
    )
    keep_alive_seconds: Seconds = Field(default=15, description="between comments on a silent stream")
