"""What counts as good, and how much each kind of evidence weighs: one outcome of one decision."""

from __future__ import annotations

import math

FEEDBACK, VALIDATOR, JUDGE, BROKEN_CALL, EMPTY, CUT, REFUSED, REPEATED, ERROR = (
    "feedback",
    "validator",
    "judge",
    "broken_call",
    "empty",
    "cut",
    "refused",
    "repeated",
    "error",
)
WEIGHTS = {
    FEEDBACK: 1.0,
    VALIDATOR: 0.8,
    JUDGE: 0.6,
    BROKEN_CALL: 0.8,
    EMPTY: 0.6,
    CUT: 0.3,
    REFUSED: 0.5,
    REPEATED: 0.3,
    ERROR: 0.4,
}
"""What somebody said counts most, what merely happened least: a client asks again for many reasons."""
BAD = frozenset({BROKEN_CALL, EMPTY, CUT, REFUSED, REPEATED, ERROR})
"""Kinds that say by themselves that the answer was no good."""
STRONGEST_FIRST = tuple(sorted(WEIGHTS, key=lambda kind: -WEIGHTS[kind]))


def score_of(value: object) -> float:
    """A score between 0 and 1 of what somebody gave: true, false, or a number within. Raises `ValueError`."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e9 else math.inf
        if math.isfinite(number) and 0 <= number <= 1:
            return number
    raise ValueError("a score is true, false, or a number from 0 to 1")
