"""What steps may spend, in US dollars: a step's own limit, and those of the steps around it.

What was spent is counted by the path of the call that spent it, so that a run that is taken over, which is told again what was recorded,
counts nothing twice. A call whose price nobody knows counts as nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from intellirouter.errors import IntelliRouterError

TINY = 1e-12
"""US dollars that sums of costs are off by, as sums of fractions are."""


class StepCostExceeded(IntelliRouterError):
    """A step spent its `limits.cost`."""

    code = "step_cost_exceeded"
    status = 422


@dataclass(slots=True)
class Purse:
    """What the step at a path may spend, all that it holds included; `outer` is that of the step around it."""

    at: str
    most: float
    outer: Purse | None = None
    _spent: dict[str, float] = field(default_factory=dict)
    _total: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """A run that was taken over walks on a thread of its own, and its calls are made on another."""

    def spent(self, path: str, usd: float) -> None:
        """So much was spent at a path, in all."""
        with self._lock:
            self._total += usd - self._spent.get(path, 0.0)
            self._spent[path] = usd
        if self.outer is not None:
            self.outer.spent(path, usd)

    def check(self, *, before: bool) -> None:
        """Raises `StepCostExceeded`: before a call where nothing is left, after it where it was too much."""
        total, left = self._total, self.most - self._total
        if left < -TINY or (before and left <= TINY):
            raise StepCostExceeded(
                f"Step '{self.at}' spent {total:.4g} of the {self.most:g} US dollars that it may (limits.cost)."
            )
        if self.outer is not None:
            self.outer.check(before=before)


_PURSE: ContextVar[Purse | None] = ContextVar("purse", default=None)


def purse() -> Purse | None:
    """That of the step that is walked now."""
    return _PURSE.get()


@contextlib.contextmanager
def spending(at: str, most: float | None) -> Iterator[None]:
    """What is walked meanwhile may spend so much; None: as much as what is around it."""
    if most is None:
        yield
        return
    before = _PURSE.set(Purse(at, most, _PURSE.get()))
    try:
        yield
    finally:
        _PURSE.reset(before)


@dataclass(slots=True)
class Account:
    """What one effect spends: every attempt of it, repairs and its fallback."""

    path: str = ""
    purse: Purse | None = None
    usd: float = 0.0

    def check(self) -> None:
        """Raises `StepCostExceeded` where nothing is left for another call."""
        if self.purse is not None:
            self.purse.check(before=True)

    def pay(self, usd: float | None) -> None:
        """Count a call. Raises `StepCostExceeded` where it was too much."""
        self.usd += usd or 0.0
        if self.purse is not None:
            self.purse.spent(self.path, self.usd)
            self.purse.check(before=False)
