"""`[limits]` and `[budgets]`: how much keys, teams and models may use. 0 is none at all, an absent limit is no limit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from intellirouter.config.schema.model_registry import Price
from intellirouter.config.schema.section import Section, empty, networks


class Rate(Section):
    """Requests and tokens within a minute; an absent one is not limited."""

    requests_per_minute: int | None = Field(default=None, ge=0, description="requests within a minute")
    tokens_per_minute: int | None = Field(
        default=None, ge=0, description="tokens of prompts and answers within a minute"
    )


class Budget(Section):
    """US dollars within an hour, a day, a calendar month (UTC) and for ever; an absent one is not limited."""

    hour: float | None = Field(default=None, ge=0, description="US dollars within an hour")
    day: float | None = Field(default=None, ge=0, description="US dollars within a day")
    month: float | None = Field(default=None, ge=0, description="US dollars within a calendar month (UTC)")
    total: float | None = Field(default=None, ge=0, description="US dollars for ever")


class LimitsSection(Section):
    """`[limits]`. `each_key` holds for every key that has no limits of its own; the tables name keys, teams, models."""

    each_key: Rate = Field(default_factory=empty(Rate))
    keys: dict[str, Rate] = Field(default_factory=dict, description="by name of key")
    teams: dict[str, Rate] = Field(default_factory=dict, description="by name of team")
    models: dict[str, Rate] = Field(default_factory=dict, description="by name of model")
    max_concurrent_requests: int | None = Field(
        default=None, ge=1, description="of one process; more wait in the queue"
    )
    key_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of these places and of the queue, that one API key may hold; without [auth] nobody is told apart",
    )
    tenant_share: float = Field(
        default=0.75, gt=0, le=1, description="the same, of all keys of one tenant together"
    )
    address_requests_per_minute: int | None = Field(
        default=None,
        ge=0,
        description="of one client address, before anybody looks who it is, in each process; absent: any. Behind proxies set server.trusted_proxies",
    )
    address_exempt: tuple[str, ...] = Field(
        default=(),
        description="addresses and networks that are not counted so, such as those of the other nodes",
    )
    queue_length: int = Field(default=100, ge=0, description="requests that may wait for a place")
    queue_seconds: float = Field(default=30, gt=0, description="a request waits so long before it is refused")

    @field_validator("address_exempt")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)


class BudgetsSection(Section):
    """`[budgets]`, by name of key, team, tag and end user. Of a user and of a tag, each tenant has a budget of its own."""

    keys: dict[str, Budget] = Field(default_factory=dict, description="by name of key")
    teams: dict[str, Budget] = Field(default_factory=dict, description="by name of team")
    tags: dict[str, Budget] = Field(default_factory=dict, description="by tag, of each tenant")
    users: dict[str, Budget] = Field(default_factory=dict, description="by end user, of each tenant")
    unknown_price: Literal["refuse"] | Price = Field(
        default="refuse",
        description="a model whose price is not known: refused to who has a budget, or counted at this price for all",
    )
