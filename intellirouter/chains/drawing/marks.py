"""How every step of a definition stands in a run: what was recorded of it, in all rounds and items together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["", "running", "waiting", "done", "failed"]
_INDEX = re.compile(r"\[[^\]]{0,200}\]")


@dataclass(slots=True)
class Mark:
    """`state` is empty where nothing is known of a step. `seconds` is from its first start to its last end, `cost_usd` what its calls cost."""

    state: State = ""
    times: int = 0
    failures: int = 0
    seconds: float | None = None
    cost_usd: float | None = None

    def words(self) -> str:
        """In one short line."""
        parts: list[str] = [self.state] if self.state else []
        if self.times > 1:
            parts.append(f"{self.times}×")
        if self.seconds is not None:
            parts.append(lasting(self.seconds))
        if self.cost_usd:
            parts.append(f"${self.cost_usd:.4f}".rstrip("0"))
        if self.failures and self.state != "failed":
            parts.append(f"{self.failures} failed")
        return " · ".join(parts)


def lasting(seconds: float) -> str:
    """A duration as people read it."""
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"


def plain_path(path: str) -> str:
    """A recorded path less the numbers of rounds, items and branches: that of the definition."""
    return _INDEX.sub("", path)


def cost_of(outcome: Any) -> float | None:
    """What a recorded outcome says it cost."""
    result = outcome.get("ok") if isinstance(outcome, Mapping) else None
    cost = result.get("cost_usd") if isinstance(result, Mapping) else None
    return float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else None


def failed(outcome: Any) -> bool:
    """Whether a step came to an error."""
    return isinstance(outcome, Mapping) and "error" in outcome


def marks(
    paths: Iterable[str],
    steps: Iterable[Mapping[str, Any]],
    under_way: Collection[str] = (),
    waiting: str = "",
) -> dict[str, Mark]:
    """The marks of a definition's `paths`, of those that anything is known of.

    `steps` are recorded ones; what belongs to no path (a sub-chain's step, an agent's turn) counts for the nearest one around it.
    """
    known = set(paths)
    found: dict[str, Mark] = {}
    spans: dict[str, tuple[float, float]] = {}
    for step in steps:
        place = _within(plain_path(step["path"]), known)
        if place is None:
            continue
        mark = found.setdefault(place, Mark("done"))
        mark.times += 1
        if failed(step["outcome"]):
            mark.failures += 1
        if (cost := cost_of(step["outcome"])) is not None:
            mark.cost_usd = (mark.cost_usd or 0.0) + cost
        began, ended = step.get("started_at"), step.get("ended_at")
        if began is not None and ended is not None:
            first, last = spans.get(place, (began, ended))
            spans[place] = (min(first, began), max(last, ended))
            mark.seconds = spans[place][1] - spans[place][0]
    for mark in found.values():
        if mark.failures == mark.times:
            mark.state = "failed"
    for each in under_way:
        if (place := _within(plain_path(each), known)) is not None:
            found.setdefault(place, Mark()).state = "running"
    if waiting and (place := _within(plain_path(waiting), known)) is not None:
        found.setdefault(place, Mark()).state = "waiting"
    return found


def _within(path: str, known: set[str]) -> str | None:
    while path and path not in known:
        path = path.rpartition(".")[0]
    return path or None
