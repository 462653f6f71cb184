"""Models that are several: `ensemble`, `cascade` and `validation` of `[[model_registry.models]]`."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from intellirouter.config.schema.section import Seconds, Section

MERGES_WITH_A_JUDGE = ("judge", "synthesis")


class EnsembleSection(Section):
    """`[model_registry.models.ensemble]`: several models are asked at once, and one answer is made of theirs."""

    members: tuple[str, ...] = Field(
        min_length=2, max_length=10, description="models; the first is the one that gets tools"
    )
    merge: Literal["first", "vote", "best-of", "judge", "synthesis"] = Field(
        default="vote",
        description="the first answer; the one most give; the one most like the others; the one a judge takes; one a "
        "judge writes from all",
    )
    judge: str | None = Field(default=None, description="the model that judges, for judge and synthesis")
    quorum: int | None = Field(
        default=None, ge=1, description="answers that suffice; default: more than half"
    )
    grace_seconds: Seconds = Field(default=5, description="what the others may take from then on")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.merge in MERGES_WITH_A_JUDGE and self.judge is None:
            raise ValueError(f"merge = '{self.merge}' needs a judge")
        if self.quorum is not None and self.quorum > len(self.members):
            raise ValueError("quorum is more than there are members")
        return self


class CascadeSection(Section):
    """`[model_registry.models.cascade]`: models one after the other, the cheap first, until an answer is good enough."""

    steps: tuple[str, ...] = Field(min_length=2, max_length=10, description="models, the cheapest first")
    confidence: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="expected success, as feedback taught it, below which a step is passed over; 0: each is asked",
    )


class ValidationSection(Section):
    """`[model_registry.models.validation]`: what an answer must be like. One that is not is asked for again, then of the next
    model."""

    json_schema: dict[str, Any] | None = Field(default=None, description="of the answer")
    pattern: str | None = Field(default=None, description="found in the answer; RE2 syntax")
    min_characters: int | None = Field(default=None, ge=0, description="shortest answer")
    max_characters: int | None = Field(default=None, ge=1, description="longest answer")
    language: str | None = Field(
        default=None,
        pattern="^[a-z]{2}$",
        description="of the answer, as in en, de, fr, es, it, pt, nl, zh, ja, ko, ru",
    )
    judge: str | None = Field(default=None, description="a model that says whether the answer holds")
    criterion: str = Field(default="It answers the question correctly.", description="what the judge goes by")
    repair: bool = Field(default=True, description="ask the same model once more, with the reason")
