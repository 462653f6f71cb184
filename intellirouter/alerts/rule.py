"""A rule: when something is worth telling somebody of, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "critical"]
Merge = Literal["max", "sum", "share", "quantile"]
"""How the samples that several processes have of one subject become one figure: the largest, the sum, the sum of the parts over
the sum of the wholes, or a quantile of the distributions laid together."""

HYSTERESIS = 0.1


@dataclass(frozen=True, slots=True)
class Level:
    """From `at` on (at or above it; at or below it where the rule looks `below`) it is of this severity."""

    at: float
    severity: Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition. `levels` rise in how bad they are. Durations are in seconds.

    A level holds once the value has been there for `for_seconds`. It ends once the value has been better than the level by
    `hysteresis` (of `at`) for `clear_seconds`. `least` is how much must have been seen for a share or a quantile to mean anything.
    """

    name: str
    title: str
    levels: tuple[Level, ...]
    unit: str = ""
    below: bool = False
    for_seconds: float = 0.0
    clear_seconds: float = 60.0
    hysteresis: float = HYSTERESIS
    merge: Merge = "max"
    least: float = 0.0
    quantile: float = 0.95
    advice: str = ""

    def reaches(self, value: float, level: Level) -> bool:
        """True while the value is as bad as the level."""
        return value <= level.at if self.below else value >= level.at

    def holds(self, value: float, level: Level) -> bool:
        """True while the value is not clearly better than the level."""
        margin = abs(level.at) * self.hysteresis
        near = value < level.at + margin if self.below else value > level.at - margin
        return near or self.reaches(value, level)
