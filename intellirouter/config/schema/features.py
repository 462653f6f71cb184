"""`[features]`: switches of what decides and adds, each on, off, or on for a share of requests."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from intellirouter.config.schema.section import Section, empty

FEATURES = (
    "model_selection",
    "parallel_execution",
    "result_merging",
    "validation",
    "performance_tracking",
)


class SwitchSection(Section):
    """One switch. Short forms: `true`, `false`, `"on"`, `"off"`, or a share such as `0.1`."""

    share: float = Field(default=1.0, ge=0, le=1, description="of requests; 1: all, 0: off")
    keys: tuple[str, ...] = Field(default=(), description="ids of the API keys it is for; empty: all")
    teams: tuple[str, ...] = Field(default=(), description="teams it is for; empty: all")


class FeaturesSection(Section):
    """`[features]`. `intellirouter features` changes them on all nodes while they run."""

    model_selection: SwitchSection = Field(
        default_factory=empty(SwitchSection),
        description="`auto` and groups that learn decide by the request; off: the first model, the operator's order",
    )
    parallel_execution: SwitchSection = Field(
        default_factory=empty(SwitchSection), description="ensembles ask their members at the same time"
    )
    result_merging: SwitchSection = Field(
        default_factory=empty(SwitchSection), description="ensembles merge what their members answered"
    )
    validation: SwitchSection = Field(
        default_factory=empty(SwitchSection), description="answers are validated"
    )
    performance_tracking: SwitchSection = Field(
        default_factory=empty(SwitchSection), description="outcomes of decisions are kept and learnt from"
    )

    @field_validator(*FEATURES, mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"share": float(value)}
        if isinstance(value, (int, float)):
            return {"share": value}
        if isinstance(value, str):
            word = value.strip().lower()
            if word not in ("on", "off"):
                raise ValueError("'on', 'off', a share from 0 to 1, or a table of share, keys and teams")
            return {"share": float(word == "on")}
        return value
