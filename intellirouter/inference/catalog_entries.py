"""What the catalogue is made of: names clients may ask for, and the targets that serve each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intellirouter.config.schema.groups import EnsembleSection, ValidationSection
from intellirouter.config.schema.model_registry import LearningSection, Price
from intellirouter.inference.provider import Provider
from intellirouter.providers.adapter import Target
from intellirouter.transport.contract import Deadlines


@dataclass(frozen=True, slots=True)
class Candidate:
    """One target that can serve a model, with what routing must know of it. `id` is `provider/model`."""

    id: str
    provider: Provider
    target: Target
    deadlines: Deadlines
    weight: float = 1.0
    tags: frozenset[str] = frozenset()
    price: Price | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    max_concurrency: int | None = None
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Group:
    """What makes a model several. `steps` and `confidence` are those of a cascade; `validation` alone holds for a plain model."""

    ensemble: EnsembleSection | None = None
    steps: tuple[str, ...] = ()
    validation: ValidationSection | None = None
    confidence: float = 0.5

    @property
    def members(self) -> tuple[str, ...]:
        """The models that it asks."""
        return self.ensemble.members if self.ensemble is not None else self.steps

    @property
    def kind(self) -> str:
        """What it is called: `ensemble vote`, `cascade`, `validation`."""
        if self.ensemble is not None:
            return f"ensemble {self.ensemble.merge}"
        return "cascade" if self.steps else "validation"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One name and its candidates, in the operator's order.

    `learning` says how outcomes decide, where they do. Of a group that nobody configured, `members` are the models in it and
    `plain` is the one that answers where nothing is to be decided.
    """

    name: str
    candidates: tuple[Candidate, ...]
    strategy: str | None = None
    fallbacks: tuple[str, ...] = ()
    content_policy_fallbacks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    price: Price | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    persona: str | None = None
    rag: Mapping[str, Any] | None = None
    created: int = 0
    owner: str = "intellirouter"
    learning: LearningSection | None = None
    plain: ModelEntry | None = None
    members: tuple[ModelEntry, ...] = ()
    retires: str | None = None
    group: Group | None = None
