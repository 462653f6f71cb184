"""What the record keeps of a request to the Router: who asked what of which model, who answered, what it cost.

The request's path picks facts (`asked.py`); everything that takes time is worked out in `AskedPart.fill`, when a row is made of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from intellirouter.chat.response import Usage
from intellirouter.inference.cost import Rates, cost_usd
from intellirouter.inference.job import Tried
from intellirouter.inference.plan import lone_plan
from intellirouter.records.named import bounded, listed_tags
from intellirouter.records.row import Row
from intellirouter.roles.router.kept_content import Kept
from intellirouter.web.noting import Failure, Jotted, RunPart, Seen

CHAIN = "chain"
"""The provider of an answer that a chain gave."""


class Told(msgspec.Struct, gc=False, array_like=True):
    """What happened to a request, without the objects that it happened to.

    `tokens` are those of its usage: see `Usage`. `attempts` is a target where that alone was asked, once, and answered.
    """

    model: str
    provider: str
    decision: dict[str, Any]
    attempts: list[Tried] | str
    steps: dict[str, float]
    upstream_seconds: float
    notes: tuple[str, ...]
    tokens: tuple[int, int, int | None, int | None, int | None, int | None] | None
    cost_usd: float | None
    cache: str
    persona: str | None
    chain_run: str | None
    rule: str | None
    guards: list[dict[str, Any]] | None

    def tried(self) -> list[Tried]:
        """The attempts."""
        if not isinstance(self.attempts, str):
            return self.attempts
        read, written = (None, None) if self.tokens is None else self.tokens[:2]
        return [Tried(self.attempts, "ok", self.upstream_seconds, None, "", 1, read, written)]


class AskedPart(msgspec.Struct, gc=False, array_like=True, tag="asked"):
    """What was asked, and what came of it. See `Known`. `rates` are those of the model's group: one of them is the dearest."""

    held_bytes: ClassVar[int] = 0
    tells: ClassVar[bool] = False

    model: str
    dialect: str
    stream: bool
    user: str
    tags: tuple[str, ...]
    session: str
    collections: tuple[str, ...]
    first_token: float | None
    broken: Failure | None
    rates: tuple[Rates, ...]
    told: Told | None

    def tell(self, facts: dict[str, Any]) -> None:
        """See `Known.tell`: whoever answered it tells more."""

    def fill(self, row: Row) -> None:
        """See `Known.fill`."""
        row.model, row.dialect, row.stream = bounded(self.model), self.dialect, self.stream
        row.first_token, row.user, row.collections = self.first_token, self.user, self.collections
        if self.tags:
            row.tags = listed_tags((), (*row.tags, *self.tags)) if row.tags else self.tags
        row.session = row.session or self.session
        if self.broken is not None:
            row.error, row.message = self.broken.code, self.broken.message
        if self.told is not None:
            self._answered(row, self.told)
        elif row.detail.attempts:
            target = row.detail.attempts[-1].get("target")
            row.provider = target.partition("/")[0] if isinstance(target, str) else ""

    def _answered(self, row: Row, told: Told) -> None:
        detail = row.detail
        row.served_model, row.provider = bounded(told.model), told.provider
        row.cache, row.chain_run = told.cache, told.chain_run or ""
        row.persona = (told.persona or "").replace("; version=", "@")
        detail.decision = told.decision
        detail.attempts = [one.shown() for one in told.tried()]
        row.strategy = str(told.decision.get("strategy", ""))
        detail.steps = {name: round(seconds * 1e3, 2) for name, seconds in told.steps.items()}
        detail.steps["ours"] = round(max(0.0, row.seconds - told.upstream_seconds) * 1e3, 2)
        detail.notes = list(told.notes)
        if told.rule is not None:
            detail.guards = [{"guard": "persona", "rule": told.rule}]
        if told.guards:
            detail.guards = [*detail.guards, *told.guards]
        if told.tokens is not None and told.provider != CHAIN:  # its steps have rows of their own
            usage = Usage(*told.tokens[:4], cache_write_1h_tokens=told.tokens[5])
            row.input_tokens, row.output_tokens = usage.input_tokens, usage.output_tokens
            row.cached_tokens, row.written_tokens = usage.cached_tokens, usage.cache_write_tokens
            row.reasoning_tokens = told.tokens[4]
            row.cost_usd = told.cost_usd
            row.dearest_usd = max((cost_usd(usage, rates) for rates in self.rates), default=None)
        elif row.cache in ("hit", "stale", "canned"):
            row.cost_usd = 0.0


class PlainPart(msgspec.Struct, gc=False, array_like=True, tag="plain"):
    """The same of a request that named nothing but a model, and was answered by the first target that was asked.

    Most are such, and this is a quarter less to gather and to keep than an `AskedPart` with what is `Told`.
    """

    held_bytes: ClassVar[int] = 0
    tells: ClassVar[bool] = True

    model: str
    dialect: str
    stream: bool
    first_token: float | None
    rates: tuple[Rates, ...]
    served_model: str
    provider: str
    strategy: str
    target: str
    steps: dict[str, float]
    upstream_seconds: float
    notes: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    cached_tokens: int | None
    written_tokens: int | None
    reasoning_tokens: int | None
    written_1h_tokens: int | None

    def tell(self, facts: dict[str, Any]) -> None:
        """See `Known.tell`, and `answer.access_facts`, which says the same of any request."""
        facts["provider"], facts["model"], facts["attempts"] = self.provider, self.served_model, 1
        facts["input_tokens"], facts["output_tokens"] = self.input_tokens, self.output_tokens
        if self.cost_usd is not None:
            facts["cost_usd"] = round(self.cost_usd, 8)

    def fill(self, row: Row) -> None:
        """See `Known.fill`."""
        told = Told(
            self.served_model,
            self.provider,
            lone_plan(self.strategy, self.target),
            self.target,
            self.steps,
            self.upstream_seconds,
            self.notes,
            (
                self.input_tokens,
                self.output_tokens,
                self.cached_tokens,
                self.written_tokens,
                self.reasoning_tokens,
                self.written_1h_tokens,
            ),
            self.cost_usd,
            cache="",
            persona=None,
            chain_run=None,
            rule=None,
            guards=None,
        )
        AskedPart(
            self.model,
            self.dialect,
            self.stream,
            user="",
            tags=(),
            session="",
            collections=(),
            first_token=self.first_token,
            broken=None,
            rates=self.rates,
            told=told,
        ).fill(row)


class ContentPart(msgspec.Struct):
    """The same with content that may be kept. See `Known`: content is masked before it lies on any disk."""

    tells: ClassVar[bool] = False

    asked: AskedPart
    content: Kept
    held_bytes: int

    def tell(self, facts: dict[str, Any]) -> None:
        """See `Known.tell`."""

    def fill(self, row: Row) -> None:
        """See `Known.fill`."""
        self.asked.fill(row)
        self.content.fill(row)


JOTTED: Jotted[Any] = Jotted(Seen[AskedPart | PlainPart | RunPart | None])
"""How the requests of every role are kept until rows are made of them."""
