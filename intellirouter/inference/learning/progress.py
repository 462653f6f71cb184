"""How a target has done so far, for people: by kind of question, and as time went on; and what its answers were told to cost.

The cost decides where no price of the target is known; by the rest nothing is decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

BLOCK = 50
"""Outcomes of one point of the trend."""
MAX_POINTS = 48
_FADE = 1 - 1 / 2_000


class Kind(msgspec.Struct, frozen=True):
    """Outcomes of one kind of question: how many lately, the share that was good, and its standard error."""

    kind: str
    outcomes: float
    success: float
    uncertainty: float


class Point(msgspec.Struct, frozen=True):
    """One stretch of the trend: when it ended (Unix time), how many outcomes, and the share that was good."""

    at: float
    outcomes: int
    success: float


@dataclass
class Progress:
    """`kinds`: faded weight and faded sum of scores of each; `points`: the trend, oldest first; `run`: of the open stretch.

    `spent`: faded count of answers whose cost was told, and faded sum of these costs in US dollars.
    """

    kinds: dict[str, tuple[float, float]] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    run: tuple[float, int, float] = (0.0, 0, 0.0)
    spent: tuple[float, float] = (0.0, 0.0)

    def take(self, kind: str, score: float, at: float) -> None:
        """Add one outcome."""
        weight, good = self.kinds.get(kind, (0.0, 0.0))
        self.kinds[kind] = weight * _FADE + 1, good * _FADE + score
        _, count, total = self.run
        self.run = at, count + 1, total + score
        if count + 1 >= BLOCK:
            self.points.append(_point(self.run))
            del self.points[:-MAX_POINTS]
            self.run = 0.0, 0, 0.0

    def paid(self, cost: float) -> None:
        """Add what one answer cost."""
        count, total = self.spent
        self.spent = count * _FADE + 1, total * _FADE + cost

    def cost(self) -> float | None:
        """The mean cost of an answer, None where none was told."""
        count, total = self.spent
        return total / count if count else None

    def by_kind(self, order: tuple[str, ...]) -> tuple[Kind, ...]:
        """The kinds that were seen, in this order."""
        found = []
        for kind in order:
            weight, good = self.kinds.get(kind, (0.0, 0.0))
            if weight:
                likely = (good + 1) / (
                    weight + 2
                )  # the rule of succession, so that one outcome is not certainty
                error = (likely * (1 - likely) / weight) ** 0.5
                found.append(Kind(kind, round(weight, 1), round(good / weight, 4), round(error, 4)))
        return tuple(found)

    def trend(self) -> tuple[Point, ...]:
        """The stretches, and what came since the last one."""
        whole = (*self.points, *((_point(self.run),) if self.run[1] else ()))
        return whole[-MAX_POINTS:]


def _point(run: tuple[float, int, float]) -> Point:
    at, count, total = run
    return Point(round(at, 3), count, round(total / count, 4))
