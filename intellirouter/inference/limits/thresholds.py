"""Soft thresholds of budgets: told once for each period, in the log and as an event, before the budget is used up.

The event is `limits:all:budget` with a JSON object: `who` (`key:ann`), `period`, `percent` reached, `limit` and `used` in US dollars.
Every node sees the same counter; the first to tell of a threshold writes so down, and the others hold their tongue.
"""

from __future__ import annotations

import time

import msgspec
import structlog

from intellirouter.errors import StateError
from intellirouter.inference.limits.terms import BudgetTerm
from intellirouter.memory.store import StateStore

PERCENTS = (50, 80, 95, 100)
CHANNEL = "limits:all:budget"
LASTING_SECONDS = 40 * 86_400.0
"""How long it is remembered what was told of a budget without an end, or of a month."""
MAX_WATCHED = 50_000

log = structlog.get_logger(__name__)


class Thresholds:
    """Looks at budgets that were spent from, once a second."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._spent: dict[str, BudgetTerm] = {}
        self._refused: set[str] = set()
        self._told: dict[str, tuple[float, int]] = {}  # the start of the period, and the highest percent

    def spent(self, budget: BudgetTerm) -> None:
        """Something was taken from it."""
        self._spent[budget.purse.key] = budget

    def refused(self, budget: BudgetTerm) -> None:
        """It did not cover a request."""
        self._spent[budget.purse.key] = budget
        self._refused.add(budget.purse.key)

    async def look(self) -> None:
        """Tell what has been reached since the last time."""
        spent, self._spent = self._spent, {}
        refused, self._refused = self._refused, set()
        now = time.time()
        for key, budget in spent.items():
            purse = budget.purse
            used = purse.limit - purse.remaining(now)
            share = 100.0 if key in refused or not purse.limit else 100 * used / purse.limit
            reached = max((percent for percent in PERCENTS if share >= percent), default=0)
            began = now - now % purse.window if purse.window else 0.0
            last = self._told.get(key, (began, 0))
            if reached <= (last[1] if last[0] == began else 0):
                continue
            if len(self._told) >= MAX_WATCHED:
                self._told.clear()
            self._told[key] = (began, reached)
            await self._tell(budget, began, reached, used)

    async def _tell(self, budget: BudgetTerm, began: float, percent: int, used: float) -> None:
        purse = budget.purse
        facts = {
            "who": budget.who,
            "period": budget.period,
            "percent": percent,
            "limit": purse.limit,
            "used": round(used, 6),
        }
        try:
            name = f"budget-told:{purse.key}:{int(began)}:{percent}"
            if not await self._store.set(name, b"", ttl=purse.window or LASTING_SECONDS, only_if_absent=True):
                return  # another process did
            await self._store.publish(CHANNEL, msgspec.json.encode(facts))
        except StateError as error:
            log.warning("budget.event_lost", reason=error.message)
        log.warning("budget.threshold", **facts)
